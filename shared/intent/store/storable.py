"""Text that no store can keep, which every adapter refuses in the same way."""

from __future__ import annotations

from collections.abc import Iterable

from intent.errors import InvalidCommand

__all__ = ["not_storable", "require_storable"]


def require_storable(texts: Iterable[str]) -> None:
    """Check that texts can be kept: they are valid Unicode and have no NUL character.

    Raises:
        InvalidCommand: One of them cannot.
    """
    for text in texts:
        if "\0" in text:
            raise not_storable(f"{text!r} has a NUL character")
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise not_storable(str(error)) from error


def not_storable(why: str) -> InvalidCommand:
    """Return the error for a value that cannot be kept."""
    return InvalidCommand("NOT_STORABLE", f"the event store cannot keep a value: {why}")
