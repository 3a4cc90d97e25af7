"""Shows how messages differ, for people who read a failed test."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from google.protobuf import text_format
from google.protobuf.message import Message

__all__ = ["difference", "shown"]


def shown(messages: Sequence[Message]) -> str:
    """Return messages as text, each below its full name; ``nothing`` when there are none."""
    return "\n".join(_lines(messages)) or "nothing"


def difference(expected: Sequence[Message], actual: Sequence[Message]) -> str:
    """Return the expected lines (-) and the actual ones (+); empty when they are equal."""
    if _keys(expected) == _keys(actual):
        return ""
    lines = difflib.ndiff(_lines(expected) or ["nothing"], _lines(actual) or ["nothing"])
    return "\n".join(line for line in lines if not line.startswith("?"))


def _keys(messages: Sequence[Message]) -> list[tuple[str, bytes]]:
    return [(m.DESCRIPTOR.full_name, m.SerializeToString(deterministic=True)) for m in messages]


def _lines(messages: Sequence[Message]) -> list[str]:
    lines: list[str] = []
    for message in messages:
        lines.append(message.DESCRIPTOR.full_name)
        text = text_format.MessageToString(message, as_utf8=True)
        lines += [f"  {line}" for line in text.splitlines()]
    return lines
