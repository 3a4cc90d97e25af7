"""One run of a batch: rounds of load, decide and append, until each command has its outcome.

The commands of one aggregate form a group that is decided in order on one copy and appended
together. Groups are independent: a conflict sends only its own group through another round.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Final

from intent_contracts.intent.v1 import CommandEnvelope, CommandOutcome

from intent.commands import outcomes
from intent.commands.aggregates.restoring import LongStreamError
from intent.commands.handling.aside import Aside
from intent.commands.handling.parts import Parts
from intent.commands.requests import CommandRequest
from intent.commands.work import Group, Work
from intent.errors import (
    CommandError,
    NewerReleaseNeeded,
    NotFound,
    NotTheOwner,
    Rejected,
    StateChanged,
    StoreError,
    StoreUnavailable,
    UnknownType,
    VersionConflict,
)
from intent.guarding import Poison, TooSlow, Watch
from intent.records import CommandKey, StreamKey
from intent.store.event_store import (
    Appended,
    CommandWrite,
    Conflict,
    EventWrite,
    LoadedStream,
    StoredCommand,
)

__all__ = ["BatchRun"]

_log = logging.getLogger(__name__)

_MAX_ROUNDS: Final = 25
"""In each round without an outcome another process was faster; so many in a row is a defect."""


class BatchRun:
    """One run of a batch.

    Args:
        parts: What it uses.
        aside: Decides what of the batch waits.
        noted: The note of the batch's only command, when it was noted in advance that it is under way.
    """

    def __init__(self, parts: Parts, aside: Aside, noted: bytes = b"") -> None:
        self._context = parts.context
        self._store = parts.store
        self._epoch = parts.store.epochs.current
        self._cache = parts.cache
        self._new_guess = parts.new_guess
        self._restoring = parts.restoring
        self._guard = parts.guard
        self._given_up = parts.given_up
        self._undeclared = parts.undeclared
        self._changed = parts.changed
        self._aside = aside
        self._workflow_id = aside.workflow_id
        self._noted = noted
        self._order: list[Work | CommandOutcome] = []
        self._position = 0
        self._slow = False
        self._current: tuple[Group, Work] | None = None

    def results(self) -> list[tuple[CommandOutcome, bool]]:
        """Return the outcome of each command, and whether the store keeps it."""
        return [
            (item, False) if isinstance(item, CommandOutcome) else (item.settled(), item.recorded)
            for item in self._order
        ]

    async def complete(self, batch: Sequence[CommandEnvelope], validated: Sequence[CommandRequest]) -> int:
        """Run until every command has its outcome; return the position of the log, or 0.

        Groups with a command that a process may have died of come last, each by itself: by then the
        outcomes of the others are recorded.
        """
        groups = list(self._grouped(batch, validated or [None] * len(batch)).values())
        suspected = [group for group in groups if self._suspected(group)] if self._guard.doubts else []
        await self._rounds([group for group in groups if group not in suspected] if suspected else groups)
        for group in suspected:
            # The store has to be asked first whether its commands were handled before.
            group.fresh = True
            pieces = [work.piece for work in group.waiting if not self._guard.doubts.condemned(work.piece)]
            await self._guard.doubts.hesitate(pieces)
            await self._rounds([group])
            await self._guard.doubts.survived(pieces)
        return self._position

    def _suspected(self, group: Group) -> bool:
        return any(self._guard.doubts.losses(work.piece) for work in group.waiting)

    async def _rounds(self, groups: list[Group]) -> None:
        """Run rounds until every command of some groups has its outcome."""
        fruitless = 0
        while groups:
            left = sum(len(group.waiting) for group in groups)
            await self._load([group for group in groups if self._needs_load(group)])
            self._aside.begin_round()
            await self._decide_all(groups)
            for group in groups:
                self._put_back(group)
            await self._append([group for group in groups if group.writes])
            for group in groups:
                group.waiting = [work for work in group.waiting if work.outcome is None]
            groups = [group for group in groups if group.waiting]
            fruitless = fruitless + 1 if sum(len(group.waiting) for group in groups) == left else 0
            if fruitless == _MAX_ROUNDS:
                raise StoreUnavailable(f"{groups[0].key} is written by others faster than it can be decided")

    def _grouped(
        self, batch: Sequence[CommandEnvelope], validated: Sequence[CommandRequest | None]
    ) -> dict[StreamKey, Group]:
        groups: dict[StreamKey, Group] = {}
        seen: dict[CommandKey, Work] = {}
        for envelope, request in zip(batch, validated, strict=True):
            work = self._opened(envelope, request)
            self._order.append(work)
            if isinstance(work, CommandOutcome):
                continue
            first = seen.setdefault(work.command_key, work)
            if first is not work:
                first.repeats.append(work)
            elif work.key in groups:
                groups[work.key].waiting.append(work)
            else:
                kind = self._context.aggregates[work.key.aggregate_type]
                groups[work.key] = Group(work.key, kind, [work])
        return groups

    def _opened(self, envelope: CommandEnvelope, request: CommandRequest | None) -> Work | CommandOutcome:
        """Return the parsed command, or its outcome when it breaks its contract."""
        try:
            request = request or CommandRequest.of_envelope(self._context.registry, envelope)
        except UnknownType as error:
            return self._aside.unknown_command(envelope, error)
        except CommandError as error:
            return outcomes.failed(envelope.tenant_id, envelope.command_id, error)
        return Work.of(envelope, request)

    def _needs_load(self, group: Group) -> bool:
        if group.aggregate is None and not group.fresh:
            copy = self._cache.take(group.key)
            if copy is None and self._new_guess.likely(group.first_command):
                copy = group.new()
            if copy is not None:
                group.start(copy, fresh=False)
        return group.aggregate is None

    async def _load(self, groups: Sequence[Group]) -> None:
        if not groups:
            return
        loaded = await self._store.load(
            [group.key for group in groups], [work.command_key for group in groups for work in group.waiting]
        )
        for group in groups:
            stream = loaded.streams[group.key]
            self._new_guess.observe(group.first_command, new=not stream.version)
            for work in group.waiting:
                self._recall(work, loaded.commands.get(work.command_key))
            self._condemn(group)
            await self._restore(group, stream)

    async def _restore(self, group: Group, stream: LoadedStream) -> None:
        """Start the group on its aggregate as it is stored; set it apart when that would take long."""
        waiting = next((work for work in group.waiting if work.outcome is None), None)
        if waiting is None:
            return
        if not stream.version:
            group.start(group.new(), fresh=True)
            return
        note = self._noted or waiting.piece.note
        patient = not self._aside.possible
        try:
            restored = await self._restoring.restored(group.kind, group.key, stream, note, patient=patient)
        except (LongStreamError, NewerReleaseNeeded):
            if patient:
                raise
            self._aside.set(group)
        except (Poison, CommandError, StoreError):
            raise
        except Exception as error:
            # Upcasters and appliers are the author's code, like handlers.
            defect = outcomes.defect()
            _log.error(
                "%s cannot be restored (error %s)", group.key, defect.metadata["error_id"], exc_info=error
            )
            raise defect from error
        else:
            group.start(restored, fresh=True, events=len(stream.events))

    def _condemn(self, group: Group) -> None:
        """Give commands their outcome that are not to be tried again: processes died of them."""
        for work in group.waiting:
            if work.outcome is not None:
                continue
            error = self._given_up.error_of(self._workflow_id, work.command_key)
            if error is None and not self._noted and self._guard.doubts.condemned(work.piece):
                error = outcomes.defect(str(Poison.of_losses()))
                _log.error(
                    "command %s is not tried again: %s",
                    work.request.contract.type,
                    error,
                    extra={"tenant": work.key.tenant, "command_id": work.envelope.command_id},
                )
            if error is not None:
                work.fail(error)

    def _recall(self, work: Work, stored: StoredCommand | None) -> None:
        if stored is not None:
            self._aside.answer(work.recall(stored, self._epoch))

    async def _decide_all(self, groups: list[Group]) -> None:
        """Decide the commands of all groups; what a handler does costs its own command only."""
        remaining = iter(groups[:])

        def decide(watch: Watch) -> None:
            for group in remaining:
                self._decide(group, watch)

        while True:
            try:
                if self._slow:
                    await self._guard.apart(decide)
                else:
                    self._guard.inline(decide)
                return
            except TooSlow:
                # It is not known how far it got: everything is decided again on loaded copies.
                self._slow = True
                for group in groups:
                    self._again(group)
                return
            except Poison as error:
                self._poisoned(groups, error)

    def _decide(self, group: Group, watch: Watch) -> None:
        """Decide the group's commands in order, as long as its copy can be trusted."""
        for work in group.waiting:
            if work.outcome is not None:
                continue
            if self._aside.no_room(group):
                return None
            self._current = group, work
            watch.enter(self._noted or work.piece.note)
            try:
                self._decide_one(group, work)
            except (Rejected, NotFound) as error:
                outcome = outcomes.failed(group.key.tenant, work.envelope.command_id, error)
                self._write(group, work, outcome, [])
            except (NotTheOwner, VersionConflict) as error:
                if not (group.fresh or group.writes):
                    return self._again(group)
                group.deny(work, error)
            except Exception as error:
                if not group.fresh:
                    return self._again(group)
                return self._broken(group, work, error)
            if self._changed.drop(group, work):
                return None
        return None

    def _poisoned(self, groups: list[Group], error: Poison) -> None:
        """Give the command that is under way its outcome, and let the others of its group wait.

        The code may still run in a thread that was left behind, so it keeps the group that it has, and
        the others go on with another.
        """
        assert self._current is not None
        group, work = self._current
        groups[groups.index(group)] = group = group.copied(without=work)
        if group.fresh:
            self._broken(group, work, error)
            self._given_up.note(self._workflow_id, work.command_key, outcomes.defect(str(error)))
        else:
            self._again(group)

    def _again(self, group: Group) -> None:
        """Decide the group again in the next round on a loaded copy: this one was cached, or a guess.

        An outcome that the append does not check against the store must not rest on such a copy.
        """
        for _, write, _ in group.writes:
            self._aside.take_back(write.events)
        group.reset()
        group.fresh = True

    def _put_back(self, group: Group) -> None:
        """Cache again what was loaded for commands that were all denied: nothing has changed it."""
        aggregate = group.aggregate
        if aggregate is None or not aggregate.version or not group.fresh or group.writes:
            return
        if all(work.outcome is not None for work in group.waiting) and self._epoch_counts:
            self._cache.put(group.key, aggregate)
            group.aggregate = None

    @property
    def _epoch_counts(self) -> bool:
        """Whether the log is still in the epoch in which the batch began."""
        return self._epoch == self._store.epochs.current

    def _broken(self, group: Group, work: Work, error: Exception) -> None:
        """Give the command of a handler that raised its outcome; the others wait for a clean copy."""
        defect = outcomes.defect(str(error) if isinstance(error, Poison | StateChanged) else "")
        _log.error(
            "handler of %s failed (error %s): %s",
            work.request.contract.type,
            defect.metadata["error_id"],
            error,
            exc_info=error,
            extra={"tenant": work.key.tenant, "command_id": work.envelope.command_id},
        )
        work.fail(defect)
        group.aggregate = None

    def _decide_one(self, group: Group, work: Work) -> None:
        aggregate = group.aggregate
        assert aggregate is not None
        work.require_owner(aggregate.state)
        work.expect(aggregate.version)
        before = aggregate.version
        try:
            decided = group.kind.decide(aggregate, work.command(), work.metadata, self._changed.watch)
        except CommandError as error:
            if aggregate.version != before:
                raise RuntimeError("an event applier raised a rejection; only handlers may") from error
            raise
        events = outcomes.event_writes(decided)
        outcome = outcomes.applied(
            self._context.name, group.key, work.envelope.command_id, aggregate.version, events
        )
        self._write(group, work, outcome, events)

    def _write(self, group: Group, work: Work, outcome: CommandOutcome, events: Sequence[EventWrite]) -> None:
        write = CommandWrite(
            origin=work.request.origin,
            fingerprint=work.fingerprint,
            outcome=outcome.SerializeToString(),
            events=events,
            workflow_id=self._workflow_id,
        )
        group.writes.append((work, write, outcome))
        self._aside.spend(events)

    async def _append(self, groups: Sequence[Group]) -> None:
        if not groups:
            return
        result = await self._store.append([group.stream_append(self._epoch) for group in groups])
        for group, outcome in zip(groups, result.outcomes, strict=True):
            if isinstance(outcome, Appended):
                if any(write.events for _, write, _ in group.writes):
                    self._position = max(self._position, result.position)
                self._settle(group, outcome)
            else:
                self._contested(group, outcome)

    def _settle(self, group: Group, appended: Appended) -> None:
        for (work, _, outcome), position in zip(group.writes, appended.positions, strict=True):
            work.outcome = outcomes.with_position(outcome, position, self._epoch)
            work.recorded = True
            self._aside.answer(work.outcome)
            # Here and not at the decision: what was decided on a stale copy is decided again.
            work.report_undeclared(outcome, self._undeclared)
        for denied, error in group.denials:
            denied.fail(error)
        if group.aggregate is not None and self._epoch_counts:
            self._cache.put(group.key, group.aggregate)
        # What is left of the group is decided on a copy of its own: this one may be taken from the cache.
        group.reset()

    def _contested(self, group: Group, conflict: Conflict) -> None:
        """Another process was faster, or some of the commands were applied before."""
        if not group.base and conflict.version:
            self._new_guess.observe(group.first_command, new=False)
        for work, _, _ in group.writes:
            self._recall(work, conflict.duplicates.get(work.request.origin.command_id))
        self._again(group)
