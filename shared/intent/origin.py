"""Where a command comes from: what every record that follows from it carries on."""

from __future__ import annotations

import re
from typing import Final, NamedTuple
from uuid import UUID

from intent_contracts.intent.v1 import CommandEnvelope, RecordedEvent

__all__ = ["ACTOR", "NO_TRACE", "TENANT", "Origin", "TraceContext", "is_actor", "is_tenant"]

TENANT: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}", re.ASCII)
ACTOR: Final = re.compile(r"[\x21-\x7e]{1,128}", re.ASCII)


def is_actor(text: str) -> bool:
    """Return whether a text can be an actor."""
    return bool(ACTOR.fullmatch(text))


def is_tenant(text: str) -> bool:
    """Return whether a text can be a tenant."""
    return bool(TENANT.fullmatch(text))


# Named tuples, because both are made for every command: in a third of the time that a frozen
# dataclass takes.
class TraceContext(NamedTuple):
    """The trace that something belongs to, as W3C's trace context puts it.

    Attributes:
        parent: The ``traceparent``; empty when it belongs to no trace.
        state: The ``tracestate`` that belongs to it, in which vendors keep what they need; never
            without a parent.
    """

    parent: str = ""
    state: str = ""

    @classmethod
    def of(cls, message: CommandEnvelope | RecordedEvent) -> TraceContext:
        """Return the trace context that a command or an event carries."""
        return cls(message.traceparent, message.tracestate)


NO_TRACE = TraceContext()
"""What belongs to no trace."""


class Origin(NamedTuple):
    """On whose behalf and why a command is: the same for the command, its outcome and its events.

    Attributes:
        tenant: The tenant on whose data it acts.
        command_id: The command's id; repeated, it has no second effect.
        correlation_id: The id that everything which follows from one request shares.
        causation_id: The command or event that caused the command; empty at the start.
        actor: Who asks.
        trace: The trace that the command belongs to.
    """

    tenant: str
    command_id: UUID
    correlation_id: str
    causation_id: str = ""
    actor: str = ""
    trace: TraceContext = NO_TRACE

    @classmethod
    def of_envelope(cls, envelope: CommandEnvelope) -> Origin:
        """Return the origin of a command that came in its envelope.

        Raises:
            ValueError: The command's id is no UUID.
        """
        return cls(
            envelope.tenant_id,
            UUID(envelope.command_id),
            envelope.correlation_id,
            envelope.causation_id,
            envelope.actor,
            TraceContext.of(envelope),
        )

    @classmethod
    def following(cls, event: RecordedEvent, command_id: UUID, actor: str) -> Origin:
        """Return the origin of a command that an event causes.

        Args:
            event: The event.
            command_id: The id of the command.
            actor: Who sends it.
        """
        return cls(
            event.tenant_id, command_id, event.correlation_id, event.event_id, actor, TraceContext.of(event)
        )
