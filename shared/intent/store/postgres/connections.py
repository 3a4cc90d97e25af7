"""What PostgreSQL's errors mean: unavailable for now, or values it cannot keep."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import asyncpg

from intent.errors import StoreUnavailable
from intent.store.storable import not_storable

__all__ = ["about_data", "storable", "unavailable"]

_LOST: Final = (OSError, TimeoutError, asyncpg.InterfaceError, asyncpg.InternalClientError)
"""The client's own errors: a connection that is lost or just breaking, or no connection in time."""

_OF_THE_DATA: Final = ("22", "23", "54")
"""SQLSTATE classes of what is wrong with a statement's values, and is wrong again when repeated:
data exceptions, broken constraints, exceeded limits."""


@contextmanager
def unavailable(*own: type[asyncpg.PostgresError]) -> Iterator[None]:
    """Turn errors that are not about the data into `StoreUnavailable`.

    A server that is read-only, refuses a login, runs out of disk or is corrupt says nothing about the
    values that it was given: the statement may succeed later, so the error must not become an outcome.

    Args:
        own: Errors that the caller handles itself, such as a table that does not exist.

    Raises:
        StoreUnavailable: The statement failed for a reason that is not its values.
    """
    try:
        yield
    except own:
        raise
    except asyncpg.PostgresError as error:
        if about_data(error):
            raise
        raise _unavailable(error) from error
    except _LOST as error:
        raise _unavailable(error) from error


def about_data(error: asyncpg.PostgresError) -> bool:
    """Return whether an error is about the values of a statement rather than about the server."""
    return (error.sqlstate or "")[:2] in _OF_THE_DATA


def _unavailable(error: Exception) -> StoreUnavailable:
    return StoreUnavailable(f"PostgreSQL is unavailable: {str(error) or type(error).__name__}")


@contextmanager
def storable(*own: type[asyncpg.PostgresError]) -> Iterator[None]:
    """Turn the refusal of a value by the driver or the server into `InvalidCommand`.

    Args:
        own: Errors that the caller deals with itself, such as a row that refers to none.

    Raises:
        InvalidCommand: A value cannot be kept.
    """
    try:
        yield
    except own:
        raise
    except asyncpg.DataError as error:
        # The driver's own message shows the values of the whole batch; its cause says enough.
        raise not_storable(str(error.__cause__ or error)) from error
    except asyncpg.PostgresError as error:
        if not about_data(error):
            raise
        # Without the details, which show values.
        raise not_storable(error.args[0]) from error
