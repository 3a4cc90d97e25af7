"""Runs a consumer on one event."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Sequence
from typing import NamedTuple, cast
from uuid import UUID, uuid5

from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message
from intent_contracts.intent.v1 import RecordedEvent

from intent.contracts.options import option
from intent.errors import NewerReleaseNeeded
from intent.model.consumer import Consumer
from intent.model.metadata import EventMetadata
from intent.origin import Origin

__all__ = ["IntendedCommand", "command_id_of", "intended", "invoke", "react"]


class IntendedCommand(NamedTuple):
    """A command that follows from an event.

    Attributes:
        command: The command.
        origin: Where it comes from: caused by the event, sent by the consumer, and under an id that is
            the same whenever the event is handled.
    """

    command: Message
    origin: Origin

    def replayed(self, replay: int) -> IntendedCommand:
        """Return it under the id that it has in an operator's replay, from 1 up."""
        command_id = _of_replay(self.origin.command_id, replay)
        return IntendedCommand(self.command, self.origin._replace(command_id=command_id))


def command_id_of(consumer: str, event_id: UUID | str, step: str, replay: int = 0) -> UUID:
    """Return the id of a command that follows from an event: the same on every call.

    Args:
        consumer: The consumer's name.
        event_id: The event's id.
        step: Distinguishes the commands that follow from one event.
        replay: The number of an operator's replay, for a command that was rejected before it; 0: none.
    """
    first = uuid5(UUID(str(event_id)), f"{consumer}/{step}")
    return _of_replay(first, replay) if replay else first


def _of_replay(command_id: UUID, replay: int) -> UUID:
    return uuid5(command_id, f"replay/{replay}")


async def react(consumer: Consumer, event: RecordedEvent) -> Sequence[IntendedCommand]:
    """Let a consumer handle an event, and return the commands that follow.

    Raises:
        NewerReleaseNeeded: The event has a later schema version than the contract that this release has.
        TypeError: The consumer does not take such an event, or returned something other than commands.
        Exception: Whatever the handler raises.
    """
    returned = invoke(consumer, event)
    if inspect.isawaitable(returned):
        returned = await returned
    return intended(consumer, event, returned)


def invoke(consumer: Consumer, event: RecordedEvent) -> object:
    """Call a consumer's handler of an event, and return what it returns: of a coroutine, the coroutine.

    Raises:
        TypeError: The consumer does not take such an event.
        Exception: Whatever the handler raises.
    """
    handler = consumer.handlers.get(event.type)
    if handler is None:
        raise TypeError(f"the consumer {consumer.name} takes no {event.type}")
    _require_known(handler.event, event)
    message = handler.event.FromString(event.data)
    arguments = (message, EventMetadata.of_event(event)) if handler.takes_metadata else (message,)
    returned: object = handler.method(consumer, *arguments)
    return returned


def intended(consumer: Consumer, event: RecordedEvent, returned: object) -> Sequence[IntendedCommand]:
    """Return the commands that a consumer's handler of an event returned.

    Raises:
        TypeError: It returned something other than commands.
    """
    return [
        IntendedCommand(
            command,
            Origin.following(
                event,
                command_id_of(consumer.name, event.event_id, str(number)),
                actor=f"consumer:{consumer.name}",
            ),
        )
        for number, command in enumerate(_commands(consumer, returned), start=1)
    ]


def _require_known(contract: type[Message], event: RecordedEvent) -> None:
    known = option(cast("Descriptor", contract.DESCRIPTOR), "event").version
    if event.schema_version > known:
        raise NewerReleaseNeeded(
            f"{event.type} version {event.schema_version} is later than version {known}, which this release "
            "knows: a release of the consumer with the newer contract must handle it"
        )


def _commands(consumer: Consumer, returned: object) -> Iterable[Message]:
    if returned is None:
        return ()
    commands = returned if isinstance(returned, list | tuple) else (returned,)
    for command in commands:
        if not isinstance(command, Message):
            raise TypeError(f"the consumer {consumer.name} returned {command!r}, which is no command")
    return commands
