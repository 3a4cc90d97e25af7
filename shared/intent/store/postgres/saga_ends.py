"""The ends of a context's sagas, in PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple

from intent.store.postgres.arrays import columns
from intent.store.postgres.connections import unavailable
from intent.store.roles import quoted

__all__ = ["PostgresSagaEnds", "SagaEnd"]


class SagaEnd(NamedTuple):
    """How a saga ended.

    Attributes:
        tenant: Its tenant.
        saga: The id of its workflow.
        status: One of ``intent.v1.SagaStatus``.
        started_at: When its last run started.
        ended_at: When it ended.
        ended_by: Who ended it; empty when it ended by itself, or from outside.
        reason: Why that person ended it.
    """

    tenant: str
    saga: str
    status: int
    started_at: datetime
    ended_at: datetime
    ended_by: str = ""
    reason: str = ""


class PostgresSagaEnds:
    """Keeps for all processes of a context which of its sagas are over.

    Every method raises `StoreUnavailable` when PostgreSQL is unavailable.

    Args:
        pool: Connections of the service role.
        schema: The context's schema.
    """

    def __init__(self, pool: Any, schema: str) -> None:
        self._pool = pool
        own = quoted(schema)
        self._record = f"select {own}.saga_ends_record($1, $2, $3, $4, $5, $6, $7)"
        self._end = f"select * from {own}.saga_end($1, $2)"  # noqa: S608 - a quoted identifier
        self._known = f"select {own}.saga_ends_known()"
        self._known_up_to = f"select {own}.saga_ends_known_up_to($1)"

    async def record(self, ends: Iterable[SagaEnd]) -> None:
        """Record ends; what was recorded of a saga before stays."""
        with unavailable():
            await self._pool.fetchval(self._record, *columns(list(ends), len(SagaEnd._fields)))

    async def end_of(self, tenant: str, saga: str) -> SagaEnd | None:
        """Return how a saga ended; None while that is not known."""
        with unavailable():
            row = await self._pool.fetchrow(self._end, tenant, saga)
        return None if row is None else SagaEnd(tenant, saga, *row)

    async def known_up_to(self) -> datetime | None:
        """Return up to when all ends are recorded; None before the first time."""
        with unavailable():
            known: datetime | None = await self._pool.fetchval(self._known)
        return known

    async def set_known_up_to(self, moment: datetime) -> None:
        """Note up to when all ends are recorded."""
        with unavailable():
            await self._pool.fetchval(self._known_up_to, moment)
