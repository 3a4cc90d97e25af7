"""What an operator does with consumers and with what is parked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from intent.consumers.database import ConsumerDatabase
from intent.consumers.keys import RESERVED, ConsumerKey
from intent.errors import NotFound, Rejected
from intent.records import StreamKey

__all__ = ["ConsumerOperator"]


@dataclass(frozen=True, slots=True)
class ConsumerOperator:
    """Operates consumers; every method raises `StoreUnavailable` when the database is unavailable.

    Attributes:
        database: Stores the consumers.
        changed: Called after each change, to notify the processes that serve consumers.
    """

    database: ConsumerDatabase
    changed: Callable[[], None]

    async def replay(self, key: ConsumerKey, stream: StreamKey) -> int:
        """Deliver a parked stream again and return the number of its events.

        Raises:
            NotFound: It is not parked.
        """
        events = await self.database.replay(key, stream)
        if events is None:
            raise NotFound("NOT_PARKED", f"the consumer {key} has not parked {stream}")
        self.changed()
        return events

    async def drop(self, key: ConsumerKey, position: int, reason: str, actor: str) -> None:
        """Drop a parked event; the reason is recorded.

        When it is the event that failed, the rest of its stream is delivered.

        Raises:
            NotFound: It is not parked.
        """
        if not await self.database.drop(key, position, reason, actor):
            raise NotFound("NOT_PARKED", f"the consumer {key} has not parked the event at {position}")
        self.changed()

    async def remove(self, key: ConsumerKey) -> None:
        """Remove a consumer with its checkpoints and parked events.

        Raises:
            NotFound: There is no such consumer.
            Rejected: It has instances, or is one of the platform's own.
        """
        if key.name.startswith(RESERVED):
            raise Rejected("CONSUMER_RESERVED", f"{key} is the platform's own consumer and cannot be removed")
        removed = await self.database.remove(key)
        if removed is None:
            raise NotFound("CONSUMER_NOT_FOUND", f"there is no consumer {key}")
        if not removed:
            raise Rejected("CONSUMER_IN_USE", f"instances work for the consumer {key}; stop them first")
