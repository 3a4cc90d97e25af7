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
        self._note = f"select {own}.doubt_note($1, $2, $3, $4)"
        self._clear = f"select {own}.doubt_clear($1, $2)"
        self._read = f"select key, losses from {own}.doubts_read($1)"  # noqa: S608 - a quoted identifier

    async def note(self, key: bytes, what: str, least: int) -> int:
        """See `DoubtStore.note`."""
        with unavailable():
            losses: int = await self._pool.fetchval(self._note, key, self._code, what, least)
        return losses

    async def clear(self, keys: Iterable[bytes]) -> None:
        """See `DoubtStore.clear`."""
        with unavailable():
            await self._pool.fetchval(self._clear, list(keys), self._code)

    async def read(self) -> Mapping[bytes, int]:
        """See `DoubtStore.read`."""
        with unavailable():
            rows = await self._pool.fetch(self._read, self._code)
        return {row["key"]: row["losses"] for row in rows}
