"""Builds the indexes of rebuilt generations, which may take hours, beside everything else."""

from __future__ import annotations

import asyncio

from intent.projections.database import ProjectionDatabase
from intent.store.roles import quoted

__all__ = ["IndexBuilds"]


class IndexBuilds:
    """Builds indexes one generation after the other, on a connection of their own.

    Args:
        database: Where the generations are.
    """

    def __init__(self, database: ProjectionDatabase) -> None:
        self._database = database
        self._one = asyncio.Lock()
        self._statement = f"select {quoted(database.schema)}.projection_index($1, $2)"

    async def build(self, projection: str, generation: int) -> None:
        """Build the indexes of a generation; wait while others are built.

        Raises:
            StoreUnavailable: The database is unavailable; whether the indexes are there is unknown.
        """
        async with self._one, self._database.long_transaction() as connection:
            # Further cores would be missing for commands, and an index has time.
            await connection.execute("set local max_parallel_maintenance_workers = 0")
            await connection.fetchval(self._statement, projection, generation)
