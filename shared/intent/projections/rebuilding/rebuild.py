"""Rebuilds a projection next to the generation that is read, then switches in one transaction."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Final

from intent_contracts.intent.v1 import RebuildProjectionResponse

from intent.errors import Rejected, StoreUnavailable, Unavailable
from intent.projections.counters import ProjectionCounters
from intent.projections.environment import Environment
from intent.projections.pace import Pace
from intent.projections.rebuilding.courtesy import Courtesy
from intent.projections.rebuilding.index_builds import IndexBuilds
from intent.projections.state import read_state
from intent.projections.writer import GenerationGoneError, GenerationWriter, backoff
from intent.read_models.definition import Definition
from intent.records import LogEntry
from intent.store.roles import quoted
from intent.waiting import set_within

__all__ = ["Rebuild"]

_log = logging.getLogger(__name__)

_POLL_INTERVAL: Final = 1.0
"""How often, in seconds, to look at another process's progress, and at whether to retry an event."""
_RENEW: Final = 3.0
"""How often, in seconds, to renew the claim on a generation while its indexes are built."""

_BEGIN = "select {schema}.projection_rebuild_begin($1)"
_SWITCH = "select {schema}.projection_rebuild_switch($1, $2)"
_CLAIM = """
update {schema}.projection_generations
set worker = $3, worker_until = clock_timestamp() + interval '10 seconds'
where projection = $1 and generation = $2
    and (worker = $3 or worker_until is null or worker_until < clock_timestamp())
returning position
"""
_INDEXED = "select indexed from {schema}.projection_generations where projection = $1 and generation = $2"
_POSITION = "select position from {schema}.projection_generations where projection = $1 and generation = $2"


class Rebuild:
    """One rebuild of one projection; one process runs it, the others watch it.

    Args:
        definition: The projection.
        environment: Where its rows are, on connections that no command waits for.
        indexes: Builds the indexes.
        courtesy: How much of the process it may take.
        page_size: The most events that are applied in one transaction.
        counters: The counters to increment.
        switched: Called after the switch.
    """

    def __init__(
        self,
        definition: Definition,
        environment: Environment,
        indexes: IndexBuilds,
        courtesy: Courtesy,
        page_size: int,
        counters: ProjectionCounters,
        switched: Callable[[], None],
    ) -> None:
        self._definition = definition
        self._environment = environment
        self._database = environment.database
        self._indexes = indexes
        self._courtesy = courtesy
        self._store = environment.store
        self._pace = Pace(page_size)
        self._counters = counters
        self._switched = switched
        self._progress = RebuildProjectionResponse()
        self._changed = asyncio.Event()
        self._failed: Exception | None = None
        self._hurry = asyncio.Event()

    async def run(self) -> None:
        """Run until queries read the rebuilt rows, or a migration declares other code; wait outages out."""
        self._counters.rebuilding, self._failed = True, None
        try:
            await self._run()
        except asyncio.CancelledError:
            self._failed = Unavailable("PROCESS_STOPS", "this process is stopping; another one continues")
            raise
        except Rejected as error:
            self._failed = error
            _log.error("the rebuild of %s ends: %s", self._definition.name, error)
        except Exception as error:
            self._failed = error
            raise
        finally:
            self._counters.rebuilding = False
            self._wake()

    async def watch(self) -> AsyncIterator[RebuildProjectionResponse]:
        """Yield the progress, now and whenever it changes, until the rebuild is done.

        Raises:
            Rejected: The last migration declared another version or shape than this code has.
        """
        while True:
            changed, progress = self._changed, self._progress
            yield progress
            if progress.done:
                return
            if self._failed is not None:
                raise self._failed
            await changed.wait()

    def hurry(self) -> None:
        """End the current pause: what failed may succeed now."""
        self._hurry.set()

    async def _run(self) -> None:
        outages, reached = 0, -1
        generation = 0
        while True:
            try:
                generation = generation or await self._begin()
                if await self._build(generation):
                    break
            except GenerationGoneError:
                if await self._replaced(generation):
                    break
                generation = 0
            except StoreUnavailable as error:
                self._pace.failed()
                outages = outages + 1 if self._progress.position == reached else 1
                reached = self._progress.position
                _log.warning("the rebuild of %s waits: %s", self._definition.name, error)
                await asyncio.sleep(min(5.0, backoff(outages)))
        _log.info("projection %s: generation %d is read now", self._definition.name, generation)
        self._report(self._progress.position, done=True)
        self._switched()

    async def _begin(self) -> int:
        state = await read_state(self._database, self._definition)
        if not state.declared:
            raise Rejected(
                "PROJECTION_OUTDATED",
                f"the projection {self._definition.name} is at version {state.declared_version} in the "
                f"database and at {self._definition.version} here; migrate, or ask a process with newer code",
            )
        generation: int = await self._fetch(_BEGIN, self._definition.name)
        return generation

    async def _replaced(self, generation: int) -> bool:
        """Return whether another process finished the rebuild to the generation that is gone."""
        state = await read_state(self._database, self._definition)
        return generation > 0 and state.generation >= generation

    async def _build(self, generation: int) -> bool:
        """Fill a generation and switch to it; return False while another process is filling it."""
        position = await self._claim(generation)
        if position is None:
            return await self._watch(generation)
        writer = GenerationWriter(self._definition, generation, position, self._environment)
        await self._catch_up(writer)
        if not await self._index(generation):
            return False
        while True:
            await self._catch_up(writer)
            if await self._fetch(_SWITCH, self._definition.name, generation):
                return True

    async def _watch(self, generation: int) -> bool:
        """Report the progress of the other process; return whether it is done."""
        position = await self._fetch(_POSITION, self._definition.name, generation)
        if position is None:
            raise GenerationGoneError
        self._report(position, head=await self._store.position())
        if await self._replaced(generation):
            return True
        await asyncio.sleep(_POLL_INTERVAL)
        return False

    async def _catch_up(self, writer: GenerationWriter) -> None:
        """Apply pages up to the end of the log, reading the next page while one is applied."""
        self._report(writer.position, head=await self._store.position())
        upcoming = self._read(writer.position)
        try:
            while entries := await upcoming:
                last = entries[-1].position
                upcoming = self._read(last)
                async with self._courtesy.turn():
                    await self._apply(writer, entries)
                if writer.position != last:
                    upcoming.cancel()
                    upcoming = self._read(writer.position)
        finally:
            upcoming.cancel()

    def _read(self, after: int) -> asyncio.Task[Sequence[LogEntry]]:
        return asyncio.create_task(self._read_page(after))

    async def _read_page(self, after: int) -> Sequence[LogEntry]:
        return await self._store.read_log(after, self._courtesy.page(self._pace.size))

    async def _apply(self, writer: GenerationWriter, entries: Sequence[LogEntry]) -> None:
        applied = await writer.apply(entries)
        self._pace.took(entries)
        self._counters.events += applied.events
        self._counters.rows += applied.rows
        self._counters.failures += applied.failure is not None
        self._report(applied.position)
        if applied.failure is not None:
            position, error = applied.failure.position, applied.failure.error
            _log.error(
                "the rebuild of %s: event %d: %s", self._definition.name, position, error, exc_info=error
            )
        if applied.retry_in > 0:
            self._hurry.clear()
            await set_within(self._hurry, min(applied.retry_in, _POLL_INTERVAL))

    async def _index(self, generation: int) -> bool:
        """Build the indexes; return False when another process has taken over meanwhile.

        No row is locked for so long, so the claim is renewed. It also shows that the indexes are there
        when the connection that builds them was lost without a word.
        """
        building = asyncio.create_task(self._indexes.build(self._definition.name, generation))
        try:
            while not (await asyncio.wait((building,), timeout=_RENEW))[0]:
                if await self._claim(generation) is None:
                    return False
                if await self._fetch(_INDEXED, self._definition.name, generation):
                    return True
            await building
            return True
        finally:
            building.cancel()
            await asyncio.gather(building, return_exceptions=True)

    async def _claim(self, generation: int) -> int | None:
        """Claim a generation for this process; return its position, None while another one has it."""
        position: int | None = await self._fetch(
            _CLAIM, self._definition.name, generation, self._environment.worker
        )
        return position

    async def _fetch(self, statement: str, *arguments: Any) -> Any:
        text = statement.format(schema=quoted(self._database.schema))
        async with self._database.transaction() as connection:
            return await connection.fetchval(text, *arguments)

    def _report(self, position: int, *, head: int = 0, done: bool = False) -> None:
        head = max(head, position, self._progress.head)
        self._progress = RebuildProjectionResponse(position=position, head=head, done=done)
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
