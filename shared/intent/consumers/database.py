"""What PostgreSQL keeps of the consumers; everything is one call of one function of the schema."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg

from intent.consumers.changes import Changes, Grant, StreamMark
from intent.consumers.keys import EVERY_TENANT, ConsumerKey
from intent.records import LogEntry, StreamKey
from intent.store.postgres.arrays import columns
from intent.store.postgres.connections import storable, unavailable
from intent.store.postgres.loading import log_entries
from intent.store.roles import quoted

__all__ = ["ConsumerDatabase", "ConsumerRow", "NotAMemberError", "ParkedRow", "Share"]


class NotAMemberError(Exception):
    """The instance, or its process, was taken for dead meanwhile."""


@dataclass(frozen=True, slots=True)
class Share:
    """What an instance has of a consumer's work.

    Attributes:
        grants: Its partitions.
        size: How many it should have; it gives back what it has beyond.
    """

    grants: Sequence[Grant]
    size: int


class ConsumerRow(NamedTuple):
    """How far a consumer is; the columns are in the order of the function's.

    Attributes:
        tenant: Its tenant, or `EVERY_TENANT`.
        name: Its name.
        position: All events up to here are dealt with or parked.
        head: The position of the log.
        instances: How many instances share the work.
        parked: How many streams are parked.
    """

    tenant: str
    name: str
    position: int
    head: int
    instances: int
    parked: int


class ParkedRow(NamedTuple):
    """A parked event.

    Attributes:
        consumer: The consumer.
        entry: The event.
        attempts: How often it was tried; 0: it waits behind an earlier one.
        error: Why it failed last.
        parked_at: Since when it waits.
    """

    consumer: ConsumerKey
    entry: LogEntry
    attempts: int
    error: str
    parked_at: datetime


class ConsumerDatabase:
    """Calls the functions of the consumers, as the service role.

    Every method raises `StoreUnavailable` when PostgreSQL is away.

    Args:
        pool: Connections of the service role.
        schema: The context's schema.
    """

    def __init__(self, pool: asyncpg.Pool, schema: str) -> None:
        self._pool = pool
        self._schema = quoted(schema)

    async def beat(
        self, worker: UUID, name: str, lease: float, instances: Sequence[UUID], *, new: bool
    ) -> Mapping[UUID, int] | None:
        """Tells that a process lives.

        Args:
            worker: The process.
            name: How a person calls it.
            lease: How many seconds it may be silent now.
            instances: Those that it has; others of it are ended.
            new: True the first time.

        Returns:
            For each instance a number that moves with each change of its consumer's members, free
            partitions or parked streams; None when the process was silent for too long: all its
            instances have ended.
        """
        rows = await self._rows("consumer_beat", worker, name, lease, list(instances), new)
        return {row[0]: row[1] for row in rows[1:]} if rows else None

    async def join(
        self,
        key: ConsumerKey,
        instance: UUID,
        worker: UUID,
        *,
        partitions: int,
        from_now: bool,
        types: Sequence[str],
    ) -> int:
        """Adds an instance to a consumer, which is made when it is new.

        Returns:
            The number of the consumer's partitions.

        Raises:
            NotAMemberError: The process was taken for dead.
        """
        wanted = sorted(set(types))
        try:
            total: int = await self._value(
                "consumer_join", *key, instance, worker, partitions, from_now, wanted
            )
        except asyncpg.ForeignKeyViolationError as error:
            raise NotAMemberError from error
        return total

    async def balance(self, key: ConsumerKey, instance: UUID) -> Share:
        """Gives an instance free partitions up to its share.

        Raises:
            NotAMemberError: The instance is none any more.
        """
        try:
            rows = await self._rows("consumer_balance", *key, instance)
        except asyncpg.ForeignKeyViolationError as error:
            raise NotAMemberError from error
        if not rows:
            raise NotAMemberError
        grants = [Grant(*row[:3]) for row in map(tuple, rows) if row[0] is not None]
        return Share(grants, rows[0]["share"])

    async def save(self, key: ConsumerKey, instance: UUID, changes: Changes) -> None:
        """Saves how far an instance is, all of it or nothing.

        Raises:
            NotAMemberError: It does not hold all of the partitions any more.
        """
        partitions = [(p.partition, p.epoch, p.checkpoint, p.release) for p in changes.partitions]
        streams = [
            (s.partition, *s.key, s.version, s.position, s.attempts, s.error, s.retry_in, s.parked)
            for s in changes.streams
        ]
        rejoined = [(partition, *stream) for partition, stream in changes.rejoined]
        arrays = [*columns(partitions, 4), *columns(streams, 10), *columns(rejoined, 4)]
        if not await self._value("consumer_save", *key, instance, *arrays):
            raise NotAMemberError

    async def aside(self, key: ConsumerKey, partitions: Sequence[int]) -> Sequence[StreamMark]:
        """Returns the streams of some partitions that were set aside."""
        rows = await self._rows("consumer_aside", *key, list(partitions))
        return [
            StreamMark(
                row["partition"],
                StreamKey(row["tenant"], row["aggregate_type"], row["aggregate_id"]),
                row["version"],
                row["position"],
                row["attempts"],
                row["error"],
                row["retry_in"],
                row["parked"],
                frozenset(row["dropped"]),
            )
            for row in rows
        ]

    async def read(
        self,
        after: int,
        up_to: int,
        most: int,
        tenant: str,
        types: Sequence[str],
        total: int,
        partitions: Sequence[int],
    ) -> Sequence[LogEntry]:
        """Reads at most `most` events of some partitions in a part of the log."""
        only = None if tenant == EVERY_TENANT else tenant
        return log_entries(
            await self._rows(
                "consumer_read", after, up_to, most, only, list(types) or None, total, list(partitions)
            )
        )

    async def list(self, tenant: str | None) -> Sequence[ConsumerRow]:
        """Returns the consumers of a tenant; None: all."""
        return [ConsumerRow._make(row) for row in await self._rows("consumer_list", tenant)]

    async def parked(
        self,
        tenant: str | None,
        most: int,
        *,
        consumer: str = "",
        aggregate_type: str = "",
        aggregate_id: str = "",
        position: int = 0,
    ) -> Sequence[ParkedRow]:
        """Returns at most so many parked events of a tenant's consumers; None: of all.

        What is empty or 0 does not narrow.
        """
        narrowed = (consumer or None, aggregate_type or None, aggregate_id or None, position or None)
        return [
            ParkedRow(
                ConsumerKey(row["consumer_tenant"], row["consumer"]),
                LogEntry._make(row["event"]),
                row["attempts"],
                row["error"],
                row["parked_at"],
            )
            for row in await self._rows("consumer_parked", tenant, *narrowed, most)
        ]

    async def replay(self, key: ConsumerKey, stream: StreamKey) -> int | None:
        """Lets a parked stream be delivered again; returns how many events that are, None: not parked."""
        events: int | None = await self._value("consumer_replay", *key, *stream)
        return events

    async def drop(self, key: ConsumerKey, position: int, reason: str, actor: str) -> bool:
        """Gives up a parked event; False when it is not parked."""
        dropped: bool = await self._value("consumer_drop", *key, position, reason, actor)
        return dropped

    async def remove(self, key: ConsumerKey) -> bool | None:
        """Forgets a consumer; False while instances work for it, None when there is none."""
        removed: bool | None = await self._value("consumer_remove", *key)
        return removed

    async def _rows(self, function: str, *arguments: Any) -> Sequence[Any]:
        with unavailable(), storable():
            rows: Sequence[Any] = await self._pool.fetch(self._call(function, arguments), *arguments)
            return rows

    async def _value(self, function: str, *arguments: Any) -> Any:
        with unavailable(), storable():
            return await self._pool.fetchval(self._call(function, arguments), *arguments)

    def _call(self, function: str, arguments: Sequence[Any]) -> str:
        parameters = ", ".join(f"${n}" for n in range(1, len(arguments) + 1))
        return f"select * from {self._schema}.{function}({parameters})"  # noqa: S608 - a quoted identifier
