"""Read your own writes: a query waits until the read models that it reads have reached a position.

Only when a query reads a read model is it known that it does, so the wait happens there. A query
that asks for a position beyond the log is refused at once (FAILED_PRECONDITION: waiting would
not help); one whose read model does not get there in time is to be retried (UNAVAILABLE with
RetryInfo).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeVar

from google.protobuf.message import Message

from intent.contracts import Owner
from intent.errors import Rejected, Unavailable
from intent.model import Page
from intent.model.reading import DEFAULT_PAGE_SIZE, NarrowingReader
from intent.read_models.read_side import ReadSide

__all__ = ["ConsistentReader"]

Row = TypeVar("Row", bound=Message)

_RETRY_MS: Final = 1_000
_MARGIN: Final = 0.05
"""Seconds of a caller's deadline that are reserved for sending it an answer."""


class ConsistentReader:
    """Reads read models for one query, each at the wanted position or later, and only what it may.

    Args:
        reader: Reads the rows.
        read_side: Knows the positions of the projections.
        projections: For a read model's full name the projection that writes it.
        head: Returns the position of the log.
        wanted: The position that the caller asks for; 0: any.
        wait: How many seconds to wait at most.
        owner: Whose rows it may read; None: everybody's.
    """

    __slots__ = ("_head", "_owner", "_projections", "_read_side", "_reader", "_wait", "_wanted", "position")

    def __init__(
        self,
        reader: NarrowingReader,
        read_side: ReadSide,
        projections: Mapping[str, str],
        head: Callable[[], Awaitable[int]],
        *,
        wanted: int,
        wait: float,
        owner: Owner | None = None,
    ) -> None:
        self._reader = reader
        self._read_side = read_side
        self._projections = projections
        self._head = head
        self._wanted = wanted
        self._wait = wait
        self._owner = owner
        self.position: int | None = None
        """The position that everything read so far had certainly reached; None before the first read."""

    async def get(self, model: type[Row], tenant: str, *key: Any) -> Row | None:
        """Return a row once its read model is at the wanted position; see `ReadModelReader.get`."""
        await self._wait_for(model)
        return await self._reader.get(model, tenant, *key, owner=self._owner)

    async def list(
        self,
        model: type[Row],
        tenant: str,
        *,
        where: Mapping[str, Any] | None = None,
        page_size: int = DEFAULT_PAGE_SIZE,
        page_token: str = "",
    ) -> Page[Row]:
        """Return a page of rows once their read model is at the wanted position.

        See `ReadModelReader.list`.
        """
        await self._wait_for(model)
        return await self._reader.list(
            model, tenant, where=where, page_size=page_size, page_token=page_token, owner=self._owner
        )

    async def _wait_for(self, model: type[Message]) -> None:
        name = self._projections.get(model.DESCRIPTOR.full_name)
        if name is None:
            return
        if self._wanted > self._read_side.position_of(name):
            await self._reach(name)
        reached = max(self._read_side.position_of(name), self._wanted)
        self.position = reached if self.position is None else min(self.position, reached)

    async def _reach(self, name: str) -> None:
        if not await self._read_side.reach(self._wanted, 0, (name,)):
            return
        if self._wanted > await self._head():
            # Where the log ends says how much all tenants do, so it is not told.
            raise Rejected(
                "POSITION_BEYOND_LOG",
                f"the log does not reach position {self._wanted}, so no read model can; "
                "set x-min-position to the position of a result of this context",
                metadata={"wanted": str(self._wanted)},
            )
        if await self._read_side.reach(self._wanted, max(0.0, self._wait - _MARGIN), (name,)):
            raise self._behind(name)

    def _behind(self, name: str) -> Unavailable:
        position = self._read_side.position_of(name)
        return Unavailable(
            "READ_MODEL_BEHIND",
            f"the projection {name} is at position {position} and not at {self._wanted} yet; try again",
            metadata={"projection": name, "position": str(position), "wanted": str(self._wanted)},
            retry_after_ms=_RETRY_MS,
        )
