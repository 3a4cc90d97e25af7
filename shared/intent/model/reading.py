"""How read models are read: the port that queries use, pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from google.protobuf.message import Message

from intent.contracts import Owner

__all__ = ["DEFAULT_PAGE_SIZE", "MAX_PAGE_SIZE", "NarrowingReader", "Page", "ReadModelReader"]

Row = TypeVar("Row", bound=Message)
RowCo = TypeVar("RowCo", bound=Message, covariant=True)

DEFAULT_PAGE_SIZE = 50
MAX_PAGE_SIZE = 500


@dataclass(frozen=True, slots=True)
class Page(Generic[RowCo]):
    """A page of rows.

    Attributes:
        rows: The rows, the newest first.
        next_page_token: Where the next page begins; empty on the last page.
    """

    rows: Sequence[RowCo]
    next_page_token: str


class ReadModelReader(Protocol):
    """Reads the rows of one tenant."""

    async def get(self, model: type[Row], tenant: str, *key: Any) -> Row | None:
        """Return the row with this key, or None.

        Raises:
            StoreUnavailable: The database is unavailable; the caller may retry.
        """
        ...

    async def list(
        self,
        model: type[Row],
        tenant: str,
        *,
        where: Mapping[str, Any] | None = None,
        page_size: int = DEFAULT_PAGE_SIZE,
        page_token: str = "",
    ) -> Page[Row]:
        """Return a page of the rows that match, the newest first.

        Args:
            model: The message class of a row.
            tenant: Whose rows.
            where: Values of indexed or key fields. None, an empty string and an enum's zero
                value do not filter.
            page_size: How many rows at most; 0 means 50, the most is 500.
            page_token: The token that the previous page returned, for the same `where`; empty: page one.

        Raises:
            InvalidCommand: The token does not belong to this listing.
            StoreUnavailable: The database is unavailable; the caller may retry.
        """
        ...


class NarrowingReader(Protocol):
    """Reads the rows of one tenant, or only those of one owner of it; see `ReadModelReader`.

    The owner is a condition of the statement, so that no row of anybody else leaves the database.
    """

    async def get(self, model: type[Row], tenant: str, *key: Any, owner: Owner | None = None) -> Row | None:
        """Return the row with this key, or None; also None when it is not the owner's.

        Raises:
            ValueError: The read model has no column by which to tell whose a row is.
        """
        ...

    async def list(
        self,
        model: type[Row],
        tenant: str,
        *,
        where: Mapping[str, Any] | None = None,
        page_size: int = DEFAULT_PAGE_SIZE,
        page_token: str = "",
        owner: Owner | None = None,
    ) -> Page[Row]:
        """Return a page of the rows that match, of the owner's alone; see `get`."""
        ...
