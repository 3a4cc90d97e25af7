"""What is refused of that which comes from Temporal, and the one place that reports it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

from temporalio.exceptions import ApplicationError

from intent.escaping import escaped

__all__ = [
    "MAC_INVALID",
    "MAC_KEY_UNKNOWN",
    "MAC_MISSING",
    "KeyUnknown",
    "PayloadRefused",
    "Refusal",
    "Report",
    "log_refusal",
]

_log: Final = logging.getLogger("intent.temporal.signing")

MAC_MISSING: Final = "MAC_MISSING"
MAC_INVALID: Final = "MAC_INVALID"
MAC_KEY_UNKNOWN: Final = "MAC_KEY_UNKNOWN"

_WORDS: Final = {
    MAC_MISSING: "it carries no MAC: whoever sent it has no keys (INTENT_TEMPORAL_KEYS)",
    MAC_INVALID: "its MAC is not of this message at this place: it was made up, changed, or copied from "
    "elsewhere",
    MAC_KEY_UNKNOWN: "its MAC is by a key that this process does not have: add the key to those of "
    "INTENT_TEMPORAL_KEYS",
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """Something from Temporal that was not believed.

    Attributes:
        reason: `MAC_MISSING`, `MAC_INVALID` or `MAC_KEY_UNKNOWN`.
        what: The full name of its message, or how it is encoded.
        place: What it was for: ``workflow``, or the type of an activity.
        workflow_id: The workflow that it was for.
        key: The id of the key that its MAC names, in hexadecimal digits; empty: none.
    """

    reason: str
    what: str
    place: str
    workflow_id: str
    key: str = ""

    def __str__(self) -> str:
        """Return it as a sentence."""
        key = f" (key {self.key})" if self.key else ""
        return (
            f"{escaped(self.what)} for {escaped(self.place)} of {escaped(self.workflow_id)} is refused: "
            f"{_WORDS[self.reason]}{key}"
        )


Report: TypeAlias = Callable[[Refusal], None]
"""Is told of each refusal, in whichever thread; it must return soon and raise nothing."""


def log_refusal(refusal: Refusal) -> None:
    """Log a refusal."""
    _log.warning("%s", refusal, extra={"reason": refusal.reason, "workflow_id": refusal.workflow_id})


class PayloadRefused(ApplicationError):
    """Something from Temporal is not believed, and would not be believed later."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(str(refusal), type=refusal.reason, non_retryable=True)


class KeyUnknown(RuntimeError):
    """The key of a MAC is not known here, and may be soon: what needs it is tried again."""
