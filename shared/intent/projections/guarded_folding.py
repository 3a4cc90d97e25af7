"""Folds events into rows under a guard: an event that hangs, or kills its process, fails like any other."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from typing import Final, TypeVar

from intent.guarding import Guard, Poison, UnderWay, Watch
from intent.read_models.definition import Definition
from intent.read_models.folding import Decode, EventFailure, Folded, Folder, Plan, RowId, StoredRow
from intent.records import LogEntry

__all__ = ["GuardedFolder"]

_SMALL: Final = 256
"""Work on more events than this is done in a thread at once."""

T = TypeVar("T")


class GuardedFolder:
    """The folder of one projection.

    Args:
        definition: The projection.
        decode: Parses the events.
        guard: What its code runs under.
    """

    def __init__(self, definition: Definition, decode: Decode, guard: Guard) -> None:
        self._name = definition.name
        self._folder = Folder(definition.projection, definition.shape, decode)
        self._guard = guard
        self._prefix = self._piece(0).note[:-1]
        self._position = 0

    async def together(self, entries: Sequence[LogEntry]) -> Sequence[LogEntry]:
        """Return the first events of a page that may be applied together.

        An event of which a process may have died comes alone, and after a pause: by then the rows of the
        events before it are written.
        """
        doubts = self._guard.doubts
        if not doubts:
            return entries
        for number, entry in enumerate(entries):
            piece = self._piece(entry.position)
            if doubts.losses(piece) and not doubts.condemned(piece):
                if number:
                    return entries[:number]
                await doubts.hesitate([piece])
                return entries[:1]
        return entries

    async def survived(self, entries: Sequence[LogEntry], position: int) -> None:
        """Note that the events of a page up to a position were applied."""
        if self._guard.doubts:
            applied = [self._piece(entry.position) for entry in entries if entry.position <= position]
            await self._guard.doubts.survived(applied)

    async def plan(self, start: int, entries: Sequence[LogEntry], skipped: Container[int]) -> Plan:
        """Return the plan of a page, see `Folder.plan`; what cannot be planned is its failure."""
        failure = self._condemned(entries, skipped)
        if failure is None:
            try:
                return await self._run(
                    len(entries), lambda enter: self._folder.plan(start, entries, skipped, enter)
                )
            except Poison as error:
                failure = EventFailure(self._position, error)
        before = [entry for entry in entries if entry.position < failure.position]
        return (await self.plan(start, before, skipped)).until(failure)

    async def fold(self, plan: Plan, stored: Mapping[RowId, StoredRow]) -> Folded:
        """Apply a plan, see `Folder.fold`."""
        try:
            return await self._run(len(plan.steps), lambda enter: self._folder.fold(plan, stored, enter))
        except Poison as error:
            return await self.fold(plan.until(EventFailure(self._position, error)), stored)

    async def _run(self, events: int, work: Callable[[Callable[[int], None]], T]) -> T:
        """Run work, which calls what it is given with the position of each event before it begins."""

        def guarded(watch: Watch) -> T:
            def enter(position: int) -> None:
                watch.enter(b"%b%d" % (self._prefix, position))
                self._position = position

            return work(enter)

        if events > _SMALL:
            return await self._guard.apart(guarded)
        return await self._guard.call(guarded)

    def _condemned(self, entries: Sequence[LogEntry], skipped: Container[int]) -> EventFailure | None:
        """Return the failure of the first event that is not to be tried again."""
        doubts = self._guard.doubts
        if doubts:
            for entry in entries:
                if entry.position not in skipped and doubts.condemned(self._piece(entry.position)):
                    return EventFailure(entry.position, Poison.of_losses())
        return None

    def _piece(self, position: int) -> UnderWay:
        return UnderWay("projection", self._name, "", str(position))
