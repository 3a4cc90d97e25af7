"""What callers hand to the `WorkflowRouter`, and what they get back."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from google.protobuf.message import Message
from intent_contracts.intent.v1 import CommandEnvelope, CommandOutcome, CommandStatus

from intent.contracts import CommandContract, Registry, parse, validate
from intent.origin import Origin

__all__ = ["CommandReport", "CommandRequest", "SubmittedCommand"]


@dataclass(frozen=True, slots=True)
class CommandRequest:
    """A command of an authenticated, authorized caller.

    Attributes:
        contract: The command's contract.
        command: The command, validated.
        origin: Where it comes from.
        expected_version: The version that the aggregate must have, or None.
        applied_only: True to answer at the append, without waiting for the read models.
    """

    contract: CommandContract
    command: Message
    origin: Origin
    expected_version: int | None = None
    applied_only: bool = False

    @classmethod
    def of_envelope(
        cls, registry: Registry, envelope: CommandEnvelope, *, applied_only: bool = False
    ) -> CommandRequest:
        """Return the request in an envelope, parsed and validated.

        Raises:
            UnknownType: No contract names its command.
            InvalidCommand: The command breaks its contract.
            ValueError: Its id is no UUID.
        """
        contract = registry.command(envelope.type)
        command = parse(contract.message, envelope.data)
        validate(command)
        expected = envelope.expected_version if envelope.HasField("expected_version") else None
        return cls(contract, command, Origin.of_envelope(envelope), expected, applied_only)


@dataclass(frozen=True, slots=True)
class SubmittedCommand:
    """A command that was accepted durably.

    Attributes:
        command_id: The command's id.
        handle: The handle by which it is found while it is under way.
    """

    command_id: UUID
    handle: str


@dataclass(frozen=True, slots=True)
class CommandReport:
    """The status of a command, and its outcome.

    Attributes:
        status: Pending, applied or failed.
        outcome: Its outcome, once finished.
    """

    status: CommandStatus.ValueType
    outcome: CommandOutcome | None = None
