"""What a caller hands to the WorkflowRouter."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from google.protobuf.message import Message
from intent_contracts.intent.v1 import CommandOutcome, CommandStatus

from intent.contracts import CommandContract

__all__ = ["CommandReport", "CommandRequest", "SubmittedCommand"]


@dataclass(frozen=True, slots=True)
class CommandRequest:
    """One command of an authenticated, authorized caller.

    Attributes:
        contract: The command's contract.
        command: The command, validated.
        tenant: The tenant on whose data it acts.
        command_id: Its id; repeated, it has no second effect.
        correlation_id: The id that everything which follows from one request shares.
        causation_id: The command or event that caused it, or empty.
        actor: Who asks.
        expected_version: The version that the aggregate must have, or None.
        traceparent: The trace that it belongs to, as a W3C traceparent, or empty.
        applied_only: True to answer at the append, without waiting for read models.
    """

    contract: CommandContract
    command: Message
    tenant: str
    command_id: UUID
    correlation_id: str
    causation_id: str = ""
    actor: str = ""
    expected_version: int | None = None
    traceparent: str = ""
    applied_only: bool = False


@dataclass(frozen=True, slots=True)
class SubmittedCommand:
    """Tells that a command was accepted durably.

    Attributes:
        command_id: The command's id.
        handle: The handle by which it is found while it is under way.
    """

    command_id: UUID
    handle: str


@dataclass(frozen=True, slots=True)
class CommandReport:
    """Tells how far a command is.

    Attributes:
        status: Pending, applied or failed.
        outcome: Its outcome, once finished.
    """

    status: CommandStatus.ValueType
    outcome: CommandOutcome | None = None
