"""The reasons for which commands are rejected: what they look like, and which the platform gives itself."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable

__all__ = ["PLATFORM_REASONS", "check_reasons"]

PLATFORM_REASONS = frozenset(
    {
        "CALL_ENDED",
        "COMMAND_ID_REUSED",
        "CONTRACT_VIOLATED",
        "EVENTS_TOO_LARGE",
        "SAGA_ID_TOO_LONG",
        "EVENTS_TOO_MANY",
        "EVENT_TOO_LARGE",
        "INTERNAL",
        "MALFORMED_MESSAGE",
        "MESSAGE_TOO_LARGE",
        "NOT_THE_OWNER",
        "NOT_STORABLE",
        "UNKNOWN_COMMAND",
        "VERSION_CONFLICT",
    }
)
"""What the platform itself may answer to any command, or to a call of a port; no contract lists it."""

_REASON = re.compile(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)*")


def check_reasons(reasons: Iterable[str], problem: Callable[[str, str], None]) -> None:
    """Report what is wrong with the reasons that a command declares.

    Args:
        reasons: The reasons, as the contract lists them.
        problem: Called with each fault and its fix.
    """
    for reason, times in Counter(reasons).items():
        if not _REASON.fullmatch(reason):
            problem(f"rejects with {reason!r}", "name a reason in UPPER_SNAKE_CASE, e.g. ORDER_NOT_OPEN")
        if reason in PLATFORM_REASONS:
            fault = f"rejects with {reason}, which the platform may answer to any command"
            problem(fault, "remove it from `rejects`, or give another reason")
        if times > 1:
            problem(f"rejects {times} times with {reason!r}", "list each reason once in `rejects`")
