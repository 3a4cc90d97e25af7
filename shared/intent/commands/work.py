"""The commands of a batch on their way to their outcomes, grouped by aggregate."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from google.protobuf.message import Message
from intent_contracts.intent.v1 import CommandEnvelope, CommandOutcome

from intent.commands import outcomes
from intent.commands.aggregates.restoring import SNAPSHOT_AFTER
from intent.commands.requests import CommandRequest
from intent.contracts import not_the_owner
from intent.errors import CommandError
from intent.guarding import UnderWay, command_piece
from intent.model import Aggregate, AggregateType, CommandMetadata
from intent.records import CommandKey, Snapshot, StreamKey
from intent.store.event_store import CommandWrite, StoredCommand, StreamAppend

__all__ = ["Group", "Work"]

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Work:
    """One command of a batch.

    Attributes:
        envelope: The command as it arrived.
        request: The same, parsed and validated.
        key: The aggregate that it addresses.
        fingerprint: The digest of its contents.
        outcome: Its outcome, once that is known.
        recorded: Whether the store keeps the outcome.
        repeats: Later commands of the batch with the same id.
        decisions: How often it has been decided.
    """

    envelope: CommandEnvelope
    request: CommandRequest
    key: StreamKey
    fingerprint: bytes
    outcome: CommandOutcome | None = None
    recorded: bool = False
    repeats: list[Work] = field(default_factory=list)
    decisions: int = 0

    @classmethod
    def of(cls, envelope: CommandEnvelope, request: CommandRequest) -> Work:
        """Return the work that a command is."""
        contract = request.contract
        return cls(
            envelope=envelope,
            request=request,
            key=StreamKey(request.origin.tenant, contract.aggregate, contract.aggregate_id(request.command)),
            fingerprint=outcomes.fingerprint(contract.type, envelope.data),
        )

    @property
    def command_key(self) -> CommandKey:
        """The command's tenant and id."""
        return CommandKey(self.key.tenant, self.request.origin.command_id)

    @property
    def piece(self) -> UnderWay:
        """The command, as a piece of work that a process may die of."""
        return command_piece(self.request.contract.type, self.key.tenant, self.envelope.command_id)

    def command(self) -> Message:
        """Return the command for its handler; another copy each time, since a handler may change it."""
        command = self.request.command
        self.decisions += 1
        return command if self.decisions == 1 else type(command).FromString(self.envelope.data)

    @property
    def metadata(self) -> CommandMetadata:
        """The metadata for the command's handler."""
        received = self.envelope.received_at
        at = datetime.fromtimestamp(received.seconds + received.nanos / 1e9, tz=UTC)
        return CommandMetadata.of(self.request.origin, at)

    def expect(self, actual: int) -> None:
        """Check the version that the caller expects, if any.

        Raises:
            VersionConflict: The aggregate is at another version.
        """
        expected = self.request.expected_version
        if expected is not None and expected != actual:
            raise outcomes.unexpected_version(self.key, expected, actual)

    def require_owner(self, state: Message) -> None:
        """Check that the aggregate is the sender's, where it may send the command only for its own.

        This must come before everything that says anything of the aggregate.

        Args:
            state: The aggregate's state.

        Raises:
            NotTheOwner: It is not, or does not exist.
        """
        owner = self.request.owner
        if owner is not None and not owner.owns(state):
            raise not_the_owner(self.request.origin.actor, self.request.contract.type, owner)

    def fail(self, error: CommandError) -> CommandOutcome:
        """Give the command an outcome which says that it had no effect, and return it."""
        self.outcome = outcomes.failed(self.key.tenant, self.envelope.command_id, error)
        return self.outcome

    def recall(self, stored: StoredCommand, epoch: str) -> CommandOutcome:
        """Give a command that was handled before its first outcome, as of an epoch, and return that."""
        if stored.fingerprint != self.fingerprint:
            return self.fail(outcomes.id_reused(self.envelope.command_id, stored.outcome))
        self.outcome = outcomes.as_duplicate(outcomes.restored(stored, epoch))
        self.recorded = True
        return self.outcome

    def report_undeclared(self, outcome: CommandOutcome, count: Callable[[str, str], None]) -> None:
        """Report a rejection for a reason that the contract lacks: a defect, and yet the caller's answer.

        Args:
            outcome: The command's outcome, of any kind.
            count: Called with the command's type and the reason.
        """
        contract, reason = self.request.contract, outcome.failure.reason
        if not outcome.HasField("failure") or contract.may_reject(reason):
            return
        _log.error(
            "%s rejected %s with %s, which its contract does not declare: add it to `rejects` in %s",
            self.key.aggregate_type,
            contract.type,
            reason,
            contract.message.DESCRIPTOR.file.name,
            extra={"tenant": self.key.tenant, "command_id": self.envelope.command_id},
        )
        count(contract.type, reason)

    def settled(self) -> CommandOutcome:
        """Return the outcome, having given it to the repeats in the batch as well."""
        outcome = self.outcome
        assert outcome is not None
        for repeat in self.repeats:
            if repeat.fingerprint != self.fingerprint:
                repeat.fail(outcomes.id_reused(self.envelope.command_id))
            elif repeat.request.owner != self.request.owner:
                repeat.fail(outcomes.under_way(self.envelope.command_id))
            else:
                repeat.outcome, repeat.recorded = outcomes.as_duplicate(outcome), self.recorded
        return outcome


@dataclass(slots=True)
class Group:
    """The commands of one aggregate.

    Attributes:
        key: The aggregate.
        kind: Its type.
        waiting: Its commands that have no outcome yet.
        fresh: Whether the copy is loaded in this round, rather than cached or assumed to be new.
        base: The version of the copy before the round.
        restored: The number of events from which the copy was restored in this round.
        aggregate: The copy, or None when it must be loaded.
        writes: What was decided in this round.
        denials: The commands that were denied in this round after something was decided, each with why.
    """

    key: StreamKey
    kind: AggregateType
    waiting: list[Work]
    fresh: bool = False
    base: int = 0
    restored: int = 0
    aggregate: Aggregate[Any] | None = None
    writes: list[tuple[Work, CommandWrite, CommandOutcome]] = field(default_factory=list)
    denials: list[tuple[Work, CommandError]] = field(default_factory=list)

    @property
    def first_command(self) -> str:
        """The type of its first command."""
        return self.waiting[0].request.contract.type

    def new(self) -> Aggregate[Any]:
        """Return the aggregate as it is before its first event."""
        return self.kind.new(self.key.tenant, self.key.aggregate_id)

    def start(self, aggregate: Aggregate[Any], *, fresh: bool, events: int = 0) -> None:
        """Start a round on a copy, which was restored from so many events."""
        self.aggregate, self.base, self.fresh, self.restored = aggregate, aggregate.version, fresh, events
        self.writes, self.denials = [], []

    def reset(self) -> None:
        """Discard the copy and what was decided on it."""
        self.aggregate, self.writes, self.denials = None, [], []

    def deny(self, work: Work, error: CommandError) -> None:
        """Give a command its outcome: what it rests on if not stored yet, once the append has stored that."""
        if self.writes:
            self.denials.append((work, error))
        else:
            work.fail(error)

    def copied(self, *, without: Work) -> Group:
        """Return another group with the same commands and decisions, but not the decision on one of them."""
        writes = [write for write in self.writes if write[0] is not without]
        return Group(
            self.key, self.kind, self.waiting, self.fresh, self.base, writes=writes, denials=self.denials
        )

    def stream_append(self, epoch: str) -> StreamAppend:
        """Return what was decided in this round in an epoch of the log, as one append."""
        writes = [write for _, write, _ in self.writes]
        return StreamAppend(self.key, self.base, writes, self._snapshot(), epoch)

    def _snapshot(self) -> Snapshot | None:
        aggregate = self.aggregate
        if aggregate is None:
            return None
        if self.restored <= SNAPSHOT_AFTER and not self.kind.snapshot_due(self.base, aggregate.version):
            return None
        return self.kind.snapshot(aggregate)
