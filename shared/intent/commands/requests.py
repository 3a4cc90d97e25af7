"""What callers hand to the `WorkflowRouter`, and what they get back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from google.protobuf.message import Message
from intent_contracts.intent.v1 import CommandEnvelope, CommandOutcome, CommandStatus

from intent.contracts import CommandContract, Owner, Registry, parse, validate
from intent.contracts.times import time_violations
from intent.contracts.validation import ID_LIMIT
from intent.envelopes import command_type, required_owner_of
from intent.errors import InvalidCommand, Violation
from intent.model import BoundContext
from intent.origin import Origin, is_actor, is_tenant
from intent.records import StreamKey

__all__ = ["CommandReport", "CommandRequest", "SubmittedCommand", "origin_of", "stream_of"]

_TEXTS: Final = ("correlation_id", "causation_id", "traceparent", "tracestate")
_TEXT_LENGTH: Final = 2_000
_ID_RULE: Final = f"must be 1 to {ID_LIMIT} printable characters"
_TENANT_RULE: Final = "must be 1 to 63 of a-z, 0-9, '-' and '_', starting with a letter or digit"
_ACTOR_RULE: Final = "must be at most 128 printable ASCII characters without spaces"


@dataclass(frozen=True, slots=True)
class CommandRequest:
    """A command of an authenticated, authorized caller.

    Attributes:
        contract: The command's contract.
        command: The command, validated.
        origin: Where it comes from.
        expected_version: The version that the aggregate must have, or None.
        applied_only: True to answer at the append, without waiting for the read models.
        owner: Whose its aggregate must be, by fields of the state; None: anybody's.
    """

    contract: CommandContract
    command: Message
    origin: Origin
    expected_version: int | None = None
    applied_only: bool = False
    owner: Owner | None = None

    @classmethod
    def of_envelope(
        cls, registry: Registry, envelope: CommandEnvelope, *, applied_only: bool = False
    ) -> CommandRequest:
        """Return the request in an envelope, parsed and validated.

        Raises:
            UnknownType: No contract names its command.
            InvalidCommand: The command or its envelope breaks its contract.
        """
        origin = origin_of(envelope)
        contract = registry.command(command_type(envelope))
        command = parse(contract.message, envelope.data)
        validate(command)
        expected = envelope.expected_version if envelope.HasField("expected_version") else None
        return cls(contract, command, origin, expected, applied_only, required_owner_of(envelope))


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


def origin_of(envelope: CommandEnvelope) -> Origin:
    """Return the origin of a command that came in its envelope.

    Whoever may start workflows may send any envelope: what is wrong with it must not be repeated.

    Raises:
        InvalidCommand: A field of the envelope is malformed.
    """
    _refuse(envelope, list(_envelope_violations(envelope)))
    return Origin.of_envelope(envelope)


def stream_of(context: BoundContext, request: Message, tenant: str, type_: str, id_: str) -> StreamKey:
    """Return the key of the aggregate that a request names.

    Args:
        context: The context.
        request: The request, for the message of an error.
        tenant: The tenant.
        type_: The aggregate's short name.
        id_: Its id.

    Raises:
        InvalidCommand: The context has no such aggregate, or an id is malformed.
    """
    violations = []
    if not is_tenant(tenant):
        violations.append(Violation("tenant_id", _TENANT_RULE, "tenant"))
    if type_ not in context.aggregates:
        known = ", ".join(sorted(context.aggregates))
        violations.append(
            Violation("aggregate_type", f"must be an aggregate of {context.name}: {known}", "in")
        )
    if not _is_id(id_):
        violations.append(Violation("aggregate_id", _ID_RULE, "id"))
    _refuse(request, violations)
    return StreamKey(tenant, type_, id_)


def _envelope_violations(envelope: CommandEnvelope) -> Iterator[Violation]:
    if not is_tenant(envelope.tenant_id):
        yield Violation("tenant_id", _TENANT_RULE, "tenant")
    if envelope.actor and not is_actor(envelope.actor):
        yield Violation("actor", _ACTOR_RULE, "actor")
    try:
        UUID(envelope.command_id)
    except ValueError:
        yield Violation("command_id", "must be a UUID", "uuid")
    for name in _TEXTS:
        if len(getattr(envelope, name)) > _TEXT_LENGTH:
            yield Violation(name, f"must be at most {_TEXT_LENGTH} characters", "max_len")
    if envelope.expected_version < 0:
        yield Violation("expected_version", "must be a whole number from 0 up", "gte")
    if envelope.HasField("received_at"):
        yield from time_violations(envelope)


def _is_id(text: str) -> bool:
    return 0 < len(text) <= ID_LIMIT and text.isprintable()


def _refuse(message: Message, violations: list[Violation]) -> None:
    if violations:
        name = message.DESCRIPTOR.full_name
        fields = ", ".join(violation.field for violation in violations)
        raise InvalidCommand(
            "CONTRACT_VIOLATED", f"{name} breaks its contract in {fields}", violations=violations
        )
