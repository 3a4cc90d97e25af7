"""What a consumer makes of one event."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Sequence
from datetime import UTC
from typing import NamedTuple
from uuid import UUID, uuid5

from google.protobuf.message import Message
from intent_contracts.intent.v1 import RecordedEvent

from intent.model.consumer import Consumer
from intent.model.metadata import EventMetadata

__all__ = ["IntendedCommand", "command_id_of", "react"]


class IntendedCommand(NamedTuple):
    """A command that follows from an event.

    Attributes:
        command: The command.
        command_id: Its id; the same whenever the event is handled.
        tenant: The event's tenant.
        correlation_id: The event's correlation.
        causation_id: The event's id.
        actor: The consumer.
        traceparent: The event's trace.
    """

    command: Message
    command_id: UUID
    tenant: str
    correlation_id: str
    causation_id: str
    actor: str
    traceparent: str


def command_id_of(consumer: str, event_id: UUID | str, step: str) -> UUID:
    """Returns the id of a command that follows from an event: the same whenever it is asked for.

    Args:
        consumer: The consumer's name.
        event_id: The event's id.
        step: Tells the commands that follow from one event apart.
    """
    return uuid5(UUID(str(event_id)), f"{consumer}/{step}")


async def react(consumer: Consumer, event: RecordedEvent) -> Sequence[IntendedCommand]:
    """Has a consumer handle an event and returns the commands that follow.

    Raises:
        TypeError: The consumer does not take such an event, or returned something else than commands.
        Exception: Whatever the handler raises.
    """
    handler = consumer.handlers.get(event.type)
    if handler is None:
        raise TypeError(f"the consumer {consumer.name} takes no {event.type}")
    message = handler.event.FromString(event.data)
    arguments = (message, _metadata(event)) if handler.takes_metadata else (message,)
    returned = handler.method(consumer, *arguments)
    if inspect.isawaitable(returned):
        returned = await returned
    return [
        IntendedCommand(
            command=command,
            command_id=command_id_of(consumer.name, event.event_id, str(number)),
            tenant=event.tenant_id,
            correlation_id=event.correlation_id,
            causation_id=event.event_id,
            actor=f"consumer:{consumer.name}",
            traceparent=event.traceparent,
        )
        for number, command in enumerate(_commands(consumer, returned), start=1)
    ]


def _commands(consumer: Consumer, returned: object) -> Iterable[Message]:
    if returned is None:
        return ()
    commands = returned if isinstance(returned, list | tuple) else (returned,)
    for command in commands:
        if not isinstance(command, Message):
            raise TypeError(f"the consumer {consumer.name} returned {command!r}, which is no command")
    return commands


def _metadata(event: RecordedEvent) -> EventMetadata:
    return EventMetadata(
        position=event.position,
        tenant=event.tenant_id,
        aggregate_type=event.aggregate_type,
        aggregate_id=event.aggregate_id,
        version=event.version,
        event_id=UUID(event.event_id),
        type=event.type,
        recorded_at=event.recorded_at.ToDatetime(UTC),
        correlation_id=event.correlation_id,
        causation_id=event.causation_id,
        command_id=UUID(event.command_id),
        actor=event.actor,
    )
