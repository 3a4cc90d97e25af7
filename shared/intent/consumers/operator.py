"""What an operator does with consumers and with what is parked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from intent.consumers.database import ConsumerDatabase
from intent.consumers.keys import ConsumerKey
from intent.errors import NotFound, Rejected
from intent.records import StreamKey

__all__ = ["ConsumerOperator"]


@dataclass(frozen=True, slots=True)
class ConsumerOperator:
    """Mends consumers; every method raises `StoreUnavailable` when the database is away.

    Attributes:
        database: Keeps the consumers.
        changed: Has whoever works on a consumer look again.
    """

    database: ConsumerDatabase
    changed: Callable[[], None]

    async def replay(self, key: ConsumerKey, stream: StreamKey) -> int:
        """Has a parked stream delivered again and returns how many events that are.

        Raises:
            NotFound: It is not parked.
        """
        events = await self.database.replay(key, stream)
        if events is None:
            raise NotFound("NOT_PARKED", f"the consumer {key} has not parked {stream}")
        self.changed()
        return events

    async def drop(self, key: ConsumerKey, position: int, reason: str, actor: str) -> None:
        """Gives up a parked event; the reason is recorded.

        When it is the event that failed, the rest of its stream goes on.

        Raises:
            NotFound: It is not parked.
        """
        if not await self.database.drop(key, position, reason, actor):
            raise NotFound("NOT_PARKED", f"the consumer {key} has not parked the event at {position}")
        self.changed()

    async def remove(self, key: ConsumerKey) -> None:
        """Forgets a consumer: its checkpoints, and what is parked.

        Raises:
            NotFound: There is no such consumer.
            Rejected: Instances work for it.
        """
        removed = await self.database.remove(key)
        if removed is None:
            raise NotFound("CONSUMER_NOT_FOUND", f"there is no consumer {key}")
        if not removed:
            raise Rejected("CONSUMER_IN_USE", f"instances work for the consumer {key}; stop them first")
