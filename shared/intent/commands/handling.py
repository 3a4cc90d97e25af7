"""Load, decide, append: what happens to a batch of commands in one activity.

The commands of one aggregate form a group that is decided in order on one copy and appended
together. Groups are independent: a conflict sends only its own group through another round. Each
command has its own outcome, whatever the others in the batch do.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from intent_contracts.intent.v1 import CommandEnvelope, CommandOutcome

from intent.commands import outcomes
from intent.commands.aggregates.cache import AggregateCache
from intent.commands.aggregates.new_guess import NewAggregateGuess
from intent.commands.requests import CommandRequest
from intent.commands.work import Group, Work
from intent.errors import CommandError, NotFound, Rejected, StoreUnavailable, VersionConflict
from intent.model import Aggregate, BoundContext
from intent.records import CommandKey, StreamKey
from intent.store.event_store import (
    Appended,
    CommandWrite,
    Conflict,
    EventStore,
    EventWrite,
    Loaded,
    LoadedStream,
)

__all__ = ["CommandHandling", "Handled"]

_log = logging.getLogger(__name__)

_MAX_ROUNDS = 25
"""In each round that conflicts another process was faster; so many in a row is a defect."""


@dataclass(frozen=True, slots=True)
class Handled:
    """The outcome of a batch.

    Attributes:
        outcomes: One per command, in the order of the batch.
        recorded: For each, whether the store keeps its outcome.
        position: The position of the log after the append; 0 when nothing was appended.
        routed_positions: The positions of the events that a saga listens to.
    """

    outcomes: Sequence[CommandOutcome]
    recorded: Sequence[bool]
    position: int
    routed_positions: Sequence[int]


class CommandHandling:
    """The handler of batches of one context's commands.

    Args:
        context: The context, bound to its contracts.
        store: Its event store.
        cache: The aggregates that were used last.
        appended: Called with the log's position after each append.
        undeclared: Called with the command's type and the reason for each rejection that the command's
            contract does not declare.
    """

    def __init__(
        self,
        context: BoundContext,
        store: EventStore,
        cache: AggregateCache,
        *,
        appended: Callable[[int], None] = lambda _: None,
        undeclared: Callable[[str, str], None] = lambda *_: None,
    ) -> None:
        self._context = context
        self._store = store
        self._cache = cache
        self._new_guess = NewAggregateGuess()
        self._appended = appended
        self._undeclared = undeclared
        self._listened_to = {event for event in context.registry.events if context.registry.listeners(event)}

    async def handle(
        self,
        batch: Sequence[CommandEnvelope],
        workflow_id: str = "",
        validated: Sequence[CommandRequest] = (),
    ) -> Handled:
        """Handle a batch; repeating it has no second effect.

        Args:
            batch: The commands.
            workflow_id: The workflow that carries them.
            validated: The same commands, parsed and validated, when this process received them itself.

        Returns:
            The outcome of each.

        Raises:
            StoreUnavailable: The store is unavailable. Either nothing or the whole append is kept; a
                repeat finds out which.
        """
        try:
            return await self._handle(batch, workflow_id, validated)
        except StoreUnavailable:
            raise
        except Exception as error:
            if len(batch) == 1:
                return self._failed(batch[0], error)
            _log.exception("a batch of %d failed as a whole; handling each command by itself", len(batch))
        return await self._one_by_one(batch, workflow_id)

    async def _one_by_one(self, batch: Sequence[CommandEnvelope], workflow_id: str) -> Handled:
        parts = [await self.handle([envelope], workflow_id) for envelope in batch]
        return Handled(
            outcomes=[outcome for part in parts for outcome in part.outcomes],
            recorded=[recorded for part in parts for recorded in part.recorded],
            position=max(part.position for part in parts),
            routed_positions=[p for part in parts for p in part.routed_positions],
        )

    def _failed(self, envelope: CommandEnvelope, error: Exception) -> Handled:
        """Answer a command that failed alone: the store refuses to keep it, or there is a defect."""
        if not isinstance(error, CommandError):
            error_id = uuid4().hex
            _log.error("command %s failed (error %s)", envelope.command_id, error_id, exc_info=error)
            error = outcomes.defect(error_id)
        return Handled([outcomes.failed(envelope.tenant_id, envelope.command_id, error)], [False], 0, [])

    async def _handle(
        self, batch: Sequence[CommandEnvelope], workflow_id: str, validated: Sequence[CommandRequest]
    ) -> Handled:
        run = _Run(self._context, self._store, self._cache, self._new_guess, workflow_id, self._undeclared)
        position = await run.complete(batch, validated)
        if position:
            self._appended(position)
        results = run.results()
        settled = [outcome for outcome, _ in results]
        return Handled(
            outcomes=settled,
            recorded=[recorded for _, recorded in results],
            position=position,
            routed_positions=list(self._routed(settled)) if self._listened_to else [],
        )

    def _routed(self, settled: Sequence[CommandOutcome]) -> Iterable[int]:
        """Yield the positions of recorded events that a saga listens to.

        The events of duplicates are included: the run that recorded them may have been cut short before
        it routed them, and sagas drop events that they have seen.
        """
        for outcome in settled:
            for event in outcome.result.events:
                if event.type in self._listened_to:
                    yield event.position


class _Run:
    """One run of a batch."""

    def __init__(
        self,
        context: BoundContext,
        store: EventStore,
        cache: AggregateCache,
        new_guess: NewAggregateGuess,
        workflow_id: str,
        undeclared: Callable[[str, str], None],
    ) -> None:
        self._context = context
        self._store = store
        self._cache = cache
        self._new_guess = new_guess
        self._workflow_id = workflow_id
        self._undeclared = undeclared
        self._order: list[Work | CommandOutcome] = []
        self._position = 0

    def results(self) -> list[tuple[CommandOutcome, bool]]:
        """Return the outcome of each command, and whether the store keeps it."""
        return [
            (item, False) if isinstance(item, CommandOutcome) else (item.settled(), item.recorded)
            for item in self._order
        ]

    async def complete(self, batch: Sequence[CommandEnvelope], validated: Sequence[CommandRequest]) -> int:
        """Run rounds until every command has its outcome; return the position of the log, or 0."""
        groups = list(self._grouped(batch, validated or [None] * len(batch)).values())
        for _ in range(_MAX_ROUNDS):
            if not groups:
                return self._position
            await self._load([group for group in groups if self._needs_load(group)])
            for group in groups:
                self._decide(group)
            await self._append([group for group in groups if group.writes])
            for group in groups:
                group.waiting = [work for work in group.waiting if work.outcome is None]
            groups = [group for group in groups if group.waiting]
        raise StoreUnavailable(f"{groups[0].key} is written by others faster than commands can be decided")

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
        except CommandError as error:
            return outcomes.failed(envelope.tenant_id, envelope.command_id, error)
        contract = request.contract
        return Work(
            envelope=envelope,
            request=request,
            key=StreamKey(request.origin.tenant, contract.aggregate, contract.aggregate_id(request.command)),
            fingerprint=outcomes.fingerprint(envelope.type, envelope.data),
        )

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
            self._recall(group, loaded)
            group.start(await self._restored(group, stream), fresh=True)

    async def _restored(self, group: Group, stream: LoadedStream) -> Aggregate[Any]:
        tenant, _, aggregate_id = group.key
        if not stream.version:
            return group.new()
        if stream.snapshot is not None and not group.kind.usable(stream.snapshot):
            stream = await self._store.load_full(group.key)
        return group.kind.restore(tenant, aggregate_id, snapshot=stream.snapshot, events=stream.events)

    def _recall(self, group: Group, loaded: Loaded) -> None:
        for work in group.waiting:
            stored = loaded.commands.get(work.command_key)
            if stored is not None:
                work.recall(stored)

    def _decide(self, group: Group) -> None:
        """Decide the group's commands in order, as long as its copy can be trusted."""
        for work in group.waiting:
            if work.outcome is not None:
                continue
            try:
                self._decide_one(group, work)
            except (Rejected, NotFound) as error:
                outcome = outcomes.failed(group.key.tenant, work.envelope.command_id, error)
                self._write(group, work, outcome, [])
            except VersionConflict as error:
                if not group.fresh:
                    return self._again(group)
                work.fail(error)
            except Exception:
                if not group.fresh:
                    return self._again(group)
                return self._broken(group, work)
        return None

    def _again(self, group: Group) -> None:
        """Decide the group again in the next round on a loaded copy: this one was cached, or a guess.

        An outcome that the append does not check against the store must not rest on such a copy.
        """
        group.reset()
        group.fresh = True

    def _broken(self, group: Group, work: Work) -> None:
        """Give the command of a handler that raised its outcome; the others wait for a clean copy."""
        error_id = uuid4().hex
        _log.exception(
            "handler of %s raised (error %s)",
            work.envelope.type,
            error_id,
            extra={"tenant": work.key.tenant, "command_id": work.envelope.command_id},
        )
        work.fail(outcomes.defect(error_id))
        group.aggregate = None

    def _decide_one(self, group: Group, work: Work) -> None:
        aggregate = group.aggregate
        assert aggregate is not None
        work.expect(aggregate.version)
        before = aggregate.version
        try:
            decided = group.kind.decide(aggregate, work.request.command, work.metadata)
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

    async def _append(self, groups: Sequence[Group]) -> None:
        if not groups:
            return
        result = await self._store.append([group.stream_append() for group in groups])
        for group, outcome in zip(groups, result.outcomes, strict=True):
            if isinstance(outcome, Appended):
                if any(write.events for _, write, _ in group.writes):
                    self._position = max(self._position, result.position)
                self._settle(group, outcome)
            else:
                self._contested(group, outcome)

    def _settle(self, group: Group, appended: Appended) -> None:
        for (work, _, outcome), position in zip(group.writes, appended.positions, strict=True):
            work.outcome = outcomes.with_position(outcome, position)
            work.recorded = True
            # Here and not at the decision: what was decided on a stale copy is decided again.
            work.report_undeclared(outcome, self._undeclared)
        if group.aggregate is not None:
            self._cache.put(group.key, group.aggregate)
        group.writes = []

    def _contested(self, group: Group, conflict: Conflict) -> None:
        """Another process was faster, or some of the commands were applied before."""
        if not group.base and conflict.version:
            self._new_guess.observe(group.first_command, new=False)
        for work, _, _ in group.writes:
            stored = conflict.duplicates.get(work.request.origin.command_id)
            if stored is not None:
                work.recall(stored)
        self._again(group)
