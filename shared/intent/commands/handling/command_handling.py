"""Load, decide, append: what happens to a batch of commands in one activity.

Each command has its own outcome, whatever the others in the batch do.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

from intent_contracts.intent.v1 import CommandEnvelope, CommandOutcome

from intent.commands import outcomes
from intent.commands.aggregates.cache import AggregateCache
from intent.commands.aggregates.new_guess import NewAggregateGuess
from intent.commands.aggregates.restoring import Restoring
from intent.commands.handling.aside import Aside
from intent.commands.handling.batch_run import BatchRun
from intent.commands.handling.changed_states import ChangedStates
from intent.commands.handling.given_up import GivenUp
from intent.commands.handling.parts import Parts
from intent.commands.requests import CommandRequest
from intent.envelopes import command_type
from intent.errors import CommandError, StoreUnavailable
from intent.guarding import Guard, Poison, command_piece
from intent.model import BoundContext
from intent.records import CommandKey
from intent.store.event_store import EventStore

__all__ = ["CommandHandling", "Handled"]

_log = logging.getLogger(__name__)


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
        changed: Finds handlers that change the state of their aggregate in place; None: as in production.
        guard: What the code of handlers runs under; None: one that notes nothing.
    """

    def __init__(
        self,
        context: BoundContext,
        store: EventStore,
        cache: AggregateCache,
        *,
        appended: Callable[[int], None] = lambda _: None,
        undeclared: Callable[[str, str], None] = lambda *_: None,
        changed: ChangedStates | None = None,
        guard: Guard | None = None,
    ) -> None:
        self._store = store
        self._guard = guard or Guard()
        self._parts = Parts(
            context=context,
            store=store,
            cache=cache,
            new_guess=NewAggregateGuess(),
            restoring=Restoring(store, self._guard),
            guard=self._guard,
            given_up=GivenUp(),
            undeclared=undeclared,
            changed=changed or ChangedStates(),
        )
        store.epochs.on_begin(cache.clear)
        self._appended = appended
        self._listened_to = {event for event in context.registry.events if context.registry.listeners(event)}

    async def handle(
        self,
        batch: Sequence[CommandEnvelope],
        workflow_id: str = "",
        validated: Sequence[CommandRequest] = (),
        *,
        apart: bool = False,
        again: bool = False,
    ) -> Handled:
        """Handle a batch; repeating it has no second effect.

        Commands of a batch that a workflow carries are set apart when they would hold up the others:
        their aggregate has a long stream, or an event that only a newer release can read, or the platform
        fails at them. Their outcomes say in which workflow they are to be continued.

        Args:
            batch: The commands.
            workflow_id: The workflow that carries them.
            validated: The same commands, parsed and validated, when this process received them itself.
            apart: Whether they were set apart from their batch.
            again: True when a process may have died of the batch: each command is then handled by
                itself, and noted before.

        Returns:
            The outcome of each.

        Raises:
            NewerReleaseNeeded: Only a newer release can handle what was set apart, or has no workflow.
            StoreUnavailable: The store is unavailable. Either nothing or the whole append is kept; a
                repeat finds out which.
            Exception: The platform failed at what was set apart; it is to be handled again.
        """
        if again:
            return await self._carefully(batch, Aside(workflow_id, apart=apart))
        if len(batch) == 1:
            return await self._by_itself(batch[0], Aside(workflow_id, apart=apart), validated)
        try:
            return await self._handle(batch, Aside(workflow_id, apart=apart), validated)
        except StoreUnavailable:
            raise
        except Exception:
            _log.exception("a batch of %d failed as a whole; handling each command by itself", len(batch))
        aside = Aside(workflow_id, apart=apart)
        return _joined([await self._by_itself(envelope, aside) for envelope in batch])

    async def _by_itself(
        self,
        envelope: CommandEnvelope,
        aside: Aside,
        validated: Sequence[CommandRequest] = (),
        noted: bytes = b"",
    ) -> Handled:
        try:
            return await self._handle([envelope], aside, validated, noted)
        except StoreUnavailable:
            raise
        except Exception as error:
            return self._failed(envelope, error, aside)

    async def _carefully(self, batch: Sequence[CommandEnvelope], aside: Aside) -> Handled:
        """Handle the commands one by one; each that may be the one is noted before it is begun."""
        known = [_key(envelope) for envelope in batch]
        stored = (await self._store.load([], [key for key in known if key is not None])).commands
        return _joined(
            [
                await self._alone(envelope, aside, noted=key is not None and key not in stored)
                for envelope, key in zip(batch, known, strict=True)
            ]
        )

    async def _alone(self, envelope: CommandEnvelope, aside: Aside, *, noted: bool) -> Handled:
        doubts = self._guard.doubts
        piece = command_piece(command_type(envelope), envelope.tenant_id, envelope.command_id)
        if noted and doubts.losses(piece):
            # How other processes fared with it decides whether there is one more attempt.
            await doubts.refresh()
        if not noted or doubts.condemned(piece):
            return await self._by_itself(envelope, aside)
        await doubts.hesitate([piece])
        note = await doubts.attempt(piece)
        try:
            return await self._by_itself(envelope, aside, noted=note)
        finally:
            await doubts.survived([piece])

    def _failed(self, envelope: CommandEnvelope, error: Exception, aside: Aside) -> Handled:
        """Answer a command that failed alone: the data or a handler is at fault, or the platform is."""
        if isinstance(error, Poison):
            defect = outcomes.defect(str(error))
            error_id = defect.metadata["error_id"]
            _log.error("command %s failed (error %s)", envelope.command_id, error_id, exc_info=error)
            error = defect
        if isinstance(error, CommandError):
            outcome = outcomes.failed(envelope.tenant_id, envelope.command_id, error)
        else:
            outcome = aside.failing(envelope, error)
        return Handled([outcome], [False], 0, [])

    async def _handle(
        self,
        batch: Sequence[CommandEnvelope],
        aside: Aside,
        validated: Sequence[CommandRequest],
        noted: bytes = b"",
    ) -> Handled:
        run = BatchRun(self._parts, aside, noted)
        position = await run.complete(batch, validated)
        if position:
            self._appended(position)
        results = run.results()
        settled = [outcome for outcome, _ in results]
        return Handled(
            outcomes=settled,
            recorded=[recorded for _, recorded in results],
            position=position,
            routed_positions=outcomes.positions(settled, self._listened_to),
        )


def _joined(parts: Sequence[Handled]) -> Handled:
    return Handled(
        outcomes=[outcome for part in parts for outcome in part.outcomes],
        recorded=[recorded for part in parts for recorded in part.recorded],
        position=max((part.position for part in parts), default=0),
        routed_positions=[p for part in parts for p in part.routed_positions],
    )


def _key(envelope: CommandEnvelope) -> CommandKey | None:
    """Return the key of a command; None when its id is malformed, so that it is never stored."""
    try:
        return CommandKey(envelope.tenant_id, UUID(envelope.command_id))
    except ValueError:
        return None
