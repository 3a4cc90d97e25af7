"""Who runs which version of a projection, so that a release that was rolled back does not leave it to nobody.

A process says now and then which projections it runs as they are declared. When none has said so for a
while, a process whose version was declared by an earlier migration declares it again, and rebuilds its rows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from intent.projections.database import ProjectionDatabase
from intent.read_models.definition import Definition
from intent.store.roles import quoted

__all__ = ["Presence"]

_EVERY: Final = 6
"""How often a process says what it runs, within the time after which it counts as gone."""

_PRESENT: Final = "select {schema}.projection_present($1, $2, $3::jsonb[], $4)"
_TAKE_UP: Final = "select {schema}.projection_take_up($1, $2, $3::jsonb, $4)"


class Presence:
    """Says what this process runs, and takes up what nobody runs.

    Args:
        database: The tables of the read models.
        definitions: The projections of this process.
        gone_after: After how many seconds without a word the declared version counts as run by nobody.
    """

    def __init__(
        self, database: ProjectionDatabase, definitions: Sequence[Definition], gone_after: float
    ) -> None:
        self._database = database
        self._definitions = definitions
        self._gone_after = gone_after

    async def keep(self) -> None:
        """Say it again and again."""
        names = [definition.name for definition in self._definitions]
        versions = [definition.version for definition in self._definitions]
        shapes = [definition.shape.declaration for definition in self._definitions]
        every = self._gone_after / _EVERY
        while True:
            async with self._database.transaction() as connection:
                await connection.execute(self._call(_PRESENT), names, versions, shapes, every / 2)
            await asyncio.sleep(every)

    async def take_up(self, definition: Definition) -> bool:
        """Declare this process's version again if nobody runs the declared one; return whether it was."""
        arguments = (definition.name, definition.version, definition.shape.declaration, self._gone_after)
        async with self._database.transaction() as connection:
            taken: bool = await connection.fetchval(self._call(_TAKE_UP), *arguments)
            return taken

    def _call(self, statement: str) -> str:
        return statement.format(schema=quoted(self._database.schema))
