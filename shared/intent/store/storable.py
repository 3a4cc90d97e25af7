"""Text that no store can keep: every adapter refuses it alike."""

from __future__ import annotations

from collections.abc import Iterable

from intent.errors import InvalidCommand

__all__ = ["not_storable", "require_storable"]


def require_storable(texts: Iterable[str]) -> None:
    """Makes sure that text can be kept: it is valid Unicode and has no NUL character.

    Raises:
        InvalidCommand: It cannot.
    """
    for text in texts:
        if "\0" in text:
            raise not_storable(f"{text!r} has a NUL character")
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise not_storable(str(error)) from error


def not_storable(why: str) -> InvalidCommand:
    """Returns the error for a value that cannot be kept."""
    return InvalidCommand("NOT_STORABLE", f"the event store cannot keep a value: {why}")
