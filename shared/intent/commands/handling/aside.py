"""What of a batch is set apart, so that it holds up nobody else."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from typing import Final

from intent_contracts.intent.v1 import CommandEnvelope, CommandOutcome

from intent.commands import outcomes
from intent.commands.work import Group
from intent.errors import NewerReleaseNeeded, UnknownType
from intent.store.event_store import EventWrite

__all__ = ["Aside"]

_log: Final = logging.getLogger(__name__)

_ROUND_BYTES: Final = 16 * 1024 * 1024
"""The bytes of events that one append takes, roughly."""
_EVENT_BYTES: Final = 200
"""What an event takes besides its message."""
_BATCH_EVENTS: Final = 50_000
"""The events of one batch: their positions are part of the result of its handle step."""


class Aside:
    """Decides which commands of a batch wait: for the next append, or for a workflow of their own.

    Args:
        workflow_id: The workflow that carries the batch, or empty.
        apart: Whether the batch was set apart itself; it then waits for what takes long.

    Attributes:
        workflow_id: The workflow that carries the batch, or empty.
        apart: Whether the batch was set apart itself.
    """

    def __init__(self, workflow_id: str, *, apart: bool) -> None:
        self.workflow_id = workflow_id
        self.apart = apart
        self.possible = bool(workflow_id) and not apart
        """Whether groups can be set apart."""
        self._spent = 0
        self._decided = 0
        self._events = 0

    def begin_round(self) -> None:
        """Note that nothing is decided yet of what the next append takes."""
        self._spent = self._decided = 0

    def spend(self, events: Sequence[EventWrite]) -> None:
        """Note events that the next append takes."""
        self._decided += len(events)
        self._spent += _size(events)

    def take_back(self, events: Sequence[EventWrite]) -> None:
        """Note events that the next append does not take after all: they are decided again."""
        self._decided -= len(events)
        self._spent -= _size(events)

    def answer(self, outcome: CommandOutcome) -> None:
        """Note an outcome that is recorded: the positions of its events are in the result of the batch."""
        self._events += len(outcome.result.events)

    def no_room(self, group: Group) -> bool:
        """Return whether to decide no more in this round; set the group apart if not in this batch either."""
        if self._events + self._decided > _BATCH_EVENTS and self.workflow_id:
            self.set(group)
            return True
        return self._spent >= _ROUND_BYTES

    def set(self, group: Group) -> None:
        """Set apart the commands of a group that have no outcome yet and were not decided in this round."""
        decided = {id(entry[0]) for entry in (*group.writes, *group.denials)}
        continued_in = self._continued_in("/".join(group.key))
        for work in group.waiting:
            if work.outcome is None and id(work) not in decided:
                work.outcome = outcomes.continued(group.key.tenant, work.envelope.command_id, continued_in)

    def unknown_command(self, envelope: CommandEnvelope, error: UnknownType) -> CommandOutcome:
        """Set apart a command that only a newer release knows, as one of its sagas may send.

        Raises:
            NewerReleaseNeeded: It was set apart before.
        """
        tenant, command_id = envelope.tenant_id, envelope.command_id
        if self.possible:
            return outcomes.continued(tenant, command_id, self._continued_in(f"{tenant}/{command_id}"))
        if self.workflow_id:
            raise NewerReleaseNeeded(f"{error}; a newer release that has its contract must handle it")
        return outcomes.failed(tenant, command_id, error)

    def failing(self, envelope: CommandEnvelope, error: Exception) -> CommandOutcome:
        """Set apart a command at which the platform fails: there it is retried until the platform is fixed.

        Raises:
            Exception: The error itself: it was set apart before.
        """
        tenant, command_id = envelope.tenant_id, envelope.command_id
        failure = outcomes.platform_failure()
        _log.error(
            "the platform fails at command %s (error %s)",
            command_id,
            failure.metadata["error_id"],
            exc_info=error,
            extra={"tenant": tenant, "command_id": command_id},
        )
        if self.possible:
            return outcomes.continued(tenant, command_id, self._continued_in(f"{tenant}/{command_id}"))
        if self.workflow_id:
            raise error
        return outcomes.failed(tenant, command_id, failure)

    def _continued_in(self, what: str) -> str:
        """Return the id of a workflow; the same again when the batch is repeated."""
        digest = hashlib.blake2b(what.encode(), digest_size=8).hexdigest()
        return f"{self.workflow_id}/{digest}"


def _size(events: Sequence[EventWrite]) -> int:
    return sum(len(event.data) for event in events) + _EVENT_BYTES * len(events)
