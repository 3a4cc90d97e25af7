"""Applies pages of the log to one generation of a read model, each in one transaction.

The checkpoint moves in the transaction that writes the rows, and only if it is still where the
rows were read and no event of the page was skipped meanwhile: whatever happens in between, the rows
contain each event exactly once, and none that was skipped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import asyncpg

from intent.errors import NewerReleaseNeeded
from intent.escaping import escaped
from intent.projections.database import GENERATION_GONE
from intent.projections.environment import Environment
from intent.projections.guarded_folding import GuardedFolder
from intent.projections.statements import key_arguments, load_statement, row_arguments, write_statement
from intent.read_models.definition import Definition
from intent.read_models.folding import EventFailure, Folded, Plan, RowId, StoredRow
from intent.records import LogEntry

__all__ = ["Applied", "GenerationGoneError", "GenerationWriter", "backoff"]

_FIRST_BACKOFF: Final = 0.2
_LAST_BACKOFF: Final = 30.0
_ERROR_LIMIT: Final = 2_000
_UNKNOWN_RETRY: Final = 1.0
"""Seconds after which to look whether a newer release has applied an event that this one cannot read."""


class GenerationGoneError(Exception):
    """The generation was replaced by another; read the state again to find the current one."""


@dataclass(frozen=True, slots=True)
class Applied:
    """The outcome of a page.

    Attributes:
        position: Where the checkpoint is now.
        events: How many events were applied; those that the projection does not take do not count.
        rows: How many rows were written or removed.
        failure: The event after the checkpoint that failed, or None.
        retry_in: Seconds until the event after the checkpoint may be tried again; 0 when it need not wait.
        waits_for: What that event waits for when it did not fail; empty when it does not wait.
    """

    position: int
    events: int = 0
    rows: int = 0
    failure: EventFailure | None = None
    retry_in: float = 0.0
    waits_for: str = ""


class GenerationWriter:
    """Writes one generation of a projection's rows.

    Args:
        definition: The projection.
        generation: The number of the generation.
        position: Its checkpoint as last seen.
        environment: Where its table is.
    """

    def __init__(
        self,
        definition: Definition,
        generation: int,
        position: int,
        environment: Environment,
    ) -> None:
        self.definition = definition
        self.generation = generation
        self.position = position
        self._database = environment.database
        self._epochs = environment.store.epochs
        self._epoch = self._epochs.current
        self._worker = environment.worker
        self._folder = GuardedFolder(definition, environment.decode, environment.guard)
        where = (self._database.schema, definition.shape, generation)
        self._load_statement, self._write_statement = load_statement(*where), write_statement(*where)
        self._skipped: frozenset[int] = frozenset()

    async def apply(self, entries: Sequence[LogEntry], *, impatient: bool = False) -> Applied:
        """Apply the entries that follow the checkpoint, and move it.

        When another process has moved the checkpoint meanwhile, nothing is applied and
        `position` becomes where it is now.

        Args:
            entries: The entries right after `position`, in order, without a gap.
            impatient: True to try a failing event before its retry is due.

        Raises:
            StoreUnavailable: The database is unavailable; nothing was applied, or all of it. Or the epoch
                of the log is over in which this was created; nothing was applied.
            GenerationGoneError: The generation was replaced.
        """
        entries = await self._folder.together(entries)
        try:
            applied = await self._apply(entries, impatient)
        except GENERATION_GONE as error:
            raise GenerationGoneError from error
        except (asyncpg.PostgresError, ValueError, OverflowError) as error:
            # The database rejects a row. Applying fewer events finds the event that wrote it.
            if len(entries) > 1:
                return await self.apply(entries[: len(entries) // 2], impatient=impatient)
            applied = await self._record_failure(EventFailure(entries[0].position, error))
        self.position = applied.position
        await self._folder.survived(entries, self.position)
        return applied

    async def _apply(self, entries: Sequence[LogEntry], impatient: bool) -> Applied:
        plan = await self._folder.plan(self.position, entries, self._skipped)
        plan, waits_for = _without_unknown(plan)
        checkpoint, stored = await self._load(plan, entries[-1].position)
        if checkpoint["position"] != self.position:
            return Applied(checkpoint["position"])
        if checkpoint["waits"] and not impatient:
            return Applied(self.position, retry_in=checkpoint["retry_in"])
        skipped = frozenset(checkpoint["skipped"])
        if not skipped <= self._skipped:
            self._skipped = skipped
            return await self._apply(entries, impatient)
        if waits_for and plan.end == self.position:
            return Applied(self.position, retry_in=_UNKNOWN_RETRY, waits_for=waits_for)
        return await self._write(await self._folder.fold(plan, stored), checkpoint)

    async def _load(self, plan: Plan, end: int) -> tuple[Any, dict[RowId, StoredRow]]:
        """Return the checkpoint, and the stored ones among the rows of a plan."""
        ids = tuple(plan.rows)
        arguments = key_arguments(self.definition.shape, ids)
        records = await self._database.fetch(self._load_statement, end, *arguments)
        if not records:
            raise GenerationGoneError
        stored = {
            ids[record["n"] - 1]: StoredRow(record["data"], record["created_position"])
            for record in records
            if record["n"] is not None
        }
        return records[0], stored

    async def _write(self, folded: Folded, checkpoint: Any) -> Applied:
        """Write rows and checkpoint, unless the checkpoint has moved or an event was skipped meanwhile."""
        self._epochs.check(self._epoch)
        shape, changes = self.definition.shape, folded.changes
        failure = self._failure_columns(folded.failure, checkpoint)
        ((moved,),) = await self._database.fetch(
            self._write_statement,
            self.position,
            folded.position,
            *failure,
            self._worker,
            *row_arguments(shape, changes),
            self.definition.name,
            max(folded.position, failure[0]),
            list(self._skipped),
            self._epochs.incarnation,
        )
        if not moved:
            return Applied(self.position)
        rows = len(changes.upserts) + len(changes.deletes)
        return Applied(folded.position, folded.events, rows, folded.failure, failure[3] or 0.0)

    def _failure_columns(
        self, failure: EventFailure | None, checkpoint: Any
    ) -> tuple[int, int, str, float | None]:
        """Return what the checkpoint stores: failing position, attempts, error and pause in seconds."""
        if failure is None:
            return 0, 0, "", None
        again = checkpoint["failing_position"] == failure.position
        attempts = checkpoint["attempts"] + 1 if again else 1
        return failure.position, attempts, _error_text(failure.error), backoff(attempts)

    async def _record_failure(self, failure: EventFailure) -> Applied:
        """Record the failure of an event whose rows the database rejects."""
        nothing = Plan((), {}, self.position, self.position, failure)
        checkpoint, _ = await self._load(nothing, self.position)
        if checkpoint["position"] != self.position:
            return Applied(checkpoint["position"])
        return await self._write(await self._folder.fold(nothing, {}), checkpoint)


def _without_unknown(plan: Plan) -> tuple[Plan, str]:
    """Return a plan without an event that only a newer release can read, and what that event waits for.

    It is no failure: a process of the newer release applies it and moves the checkpoint on.
    """
    if plan.failure is None or not isinstance(plan.failure.error, NewerReleaseNeeded):
        return plan, ""
    return replace(plan, failure=None), str(plan.failure.error)


def backoff(attempts: int) -> float:
    """Return how many seconds to wait after this many attempts: 0.2, doubling, 30 at most."""
    return min(_LAST_BACKOFF, _FIRST_BACKOFF * 2.0 ** min(attempts - 1, 16))


def _error_text(error: Exception) -> str:
    """Return an error as an operator reads it, and as PostgreSQL can store it."""
    return escaped(f"{type(error).__name__}: {error}", lines=True)[:_ERROR_LIMIT]
