"""What processes have died of, in PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from intent.store.postgres.connections import unavailable
from intent.store.roles import quoted

__all__ = ["PostgresDoubts"]


class PostgresDoubts:
    """Counts losses for all processes of a context; fulfils `intent.guarding.DoubtStore`.

    Args:
        pool: Connections of the service role.
        schema: The context's schema.
        code: The version of the code: another version may have corrected what a process died of.
    """

    def __init__(self, pool: Any, schema: str, code: str) -> None:
        self._pool = pool
        self._code = code
        own = quoted(schema)
        self._note = f"select {own}.doubt_note($1, $2, $3)"
        self._try = f"select {own}.doubt_try($1, $2, $3, make_interval(secs => $4))"
        self._confirm = f"select {own}.doubt_confirm($1, $2)"
        self._clear = f"select {own}.doubt_clear($1, $2)"
        self._read = f"select key, losses from {own}.doubts_read($1)"  # noqa: S608 - a quoted identifier

    async def note(self, key: bytes, what: str) -> int:
        """See `DoubtStore.note`."""
        return await self._counted(self._note, key, self._code, what)

    async def attempt(self, key: bytes, what: str, longest: float) -> int:
        """See `DoubtStore.attempt`."""
        return await self._counted(self._try, key, self._code, what, longest)

    async def confirm(self, key: bytes) -> int:
        """See `DoubtStore.confirm`."""
        return await self._counted(self._confirm, key, self._code)

    async def clear(self, keys: Iterable[bytes]) -> None:
        """See `DoubtStore.clear`."""
        with unavailable():
            await self._pool.fetchval(self._clear, list(keys), self._code)

    async def read(self) -> Mapping[bytes, int]:
        """See `DoubtStore.read`."""
        with unavailable():
            rows = await self._pool.fetch(self._read, self._code)
        return {row["key"]: row["losses"] for row in rows}

    async def _counted(self, statement: str, *values: Any) -> int:
        with unavailable():
            losses: int = await self._pool.fetchval(statement, *values)
        return losses
