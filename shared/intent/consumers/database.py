"""What PostgreSQL stores of the consumers; each operation is one call of a function of the schema."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

import asyncpg

from intent.consumers.changes import Changes, Grant, StreamMark
from intent.consumers.keys import EVERY_TENANT, ConsumerKey
from intent.records import LogEntry, StreamKey
from intent.store.postgres.arrays import columns
from intent.store.postgres.connections import storable, unavailable
from intent.store.postgres.loading import log_entries
from intent.store.postgres.pools import ConnectionPool
from intent.store.roles import quoted

__all__ = ["ConsumerDatabase", "ConsumerRow", "Joined", "NotAMemberError", "ParkedKey", "ParkedRow", "Share"]

_ANY: Final = 1 << 62
"""More bytes than a page can have."""


class NotAMemberError(Exception):
    """The instance is no longer a member: it, or its process, was considered dead."""


@dataclass(frozen=True, slots=True)
class Share:
    """An instance's share of a consumer's work.

    Attributes:
        grants: Its partitions.
        size: How many it should have; it releases the others.
        types: The types that belong to the consumer, whoever wants them; empty: all.
        types_revision: Changes when types are added.
        forget_in: Seconds until types that no instance wants are forgotten; None: each is wanted.
        forgotten: Types that were forgotten with this call; `*` stands for all that are not wanted.
    """

    grants: Sequence[Grant]
    size: int
    types: Sequence[str] = ()
    types_revision: int = 0
    forget_in: float | None = None
    forgotten: Sequence[str] = ()


class ConsumerRow(NamedTuple):
    """The progress of a consumer; the fields are in the order of the function's columns.

    Attributes:
        tenant: Its tenant, or `EVERY_TENANT`.
        name: Its name.
        position: All events up to here are handled or parked.
        head: The position of the log.
        instances: How many instances share the work.
        parked: How many streams are parked.
        types: Full names of the events that it wants; empty: all.
        joined_by: The actor that joined it last; empty: it is not known.
    """

    tenant: str
    name: str
    position: int
    head: int
    instances: int
    parked: int
    types: Sequence[str] = ()
    joined_by: str = ""


class Joined(NamedTuple):
    """What became of a join.

    Attributes:
        partitions: The number of the consumer's partitions; None: it would be new, and its tenant has as
            many consumers as it may have.
        newcomer: True when the actor is another one than that of the join before.
    """

    partitions: int | None
    newcomer: bool


class ParkedKey(NamedTuple):
    """The place of an event in the list of parked events, by which that is sorted.

    Attributes:
        consumer_tenant: The consumer's tenant.
        consumer: Its name.
        tenant: The event's tenant.
        aggregate_type: The kind of its aggregate.
        aggregate_id: The aggregate.
        version: The aggregate's version.
    """

    consumer_tenant: str
    consumer: str
    tenant: str
    aggregate_type: str
    aggregate_id: str
    version: int


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

    @property
    def key(self) -> ParkedKey:
        """Its place in the list."""
        entry = self.entry
        stream = (entry.tenant, entry.aggregate_type, entry.aggregate_id)
        return ParkedKey(*self.consumer, *stream, entry.version)


class ConsumerDatabase:
    """Calls the functions of the consumers, as the service role.

    Every method raises `StoreUnavailable` when PostgreSQL is unavailable.

    Args:
        pool: Connections of the service role.
        schema: The context's schema.
    """

    def __init__(self, pool: ConnectionPool, schema: str) -> None:
        self._pool = pool
        self._schema = quoted(schema)

    async def heartbeat(
        self, worker: UUID, name: str, lease: float, instances: Sequence[UUID], *, new: bool
    ) -> Mapping[UUID, int] | None:
        """Record that a process is alive.

        Args:
            worker: The process.
            name: Its name for humans.
            lease: How many seconds may pass until its next heartbeat.
            instances: The instances that it serves; any others of it are removed.
            new: True for its first heartbeat.

        Returns:
            For each instance a revision that changes whenever its consumer's members, free
            partitions or parked streams change; None when the last heartbeat was too long ago:
            all instances of the process were removed.
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
        most_per_tenant: int | None = None,
        actor: str = "",
    ) -> Joined:
        """Add an instance to a consumer, which is created when it is new and its tenant may have one more.

        The actor is who joins; empty: the platform itself.

        Raises:
            NotAMemberError: The process was considered dead.
        """
        wanted = sorted(set(types))
        try:
            terms = (partitions, from_now, wanted, most_per_tenant, actor)
            (row,) = await self._rows("consumer_join_0020", *key, instance, worker, *terms)
        except asyncpg.ForeignKeyViolationError as error:
            raise NotAMemberError from error
        return Joined._make(row)

    async def balance(self, key: ConsumerKey, instance: UUID, types_kept: float = 60.0) -> Share:
        """Give an instance free partitions up to its share.

        An instance that wants fewer types than all instances together has no share while another
        wants them all. Types that no instance has wanted for `types_kept` seconds are forgotten.

        Raises:
            NotAMemberError: The instance is no longer a member.
        """
        try:
            rows = await self._rows("consumer_balance_0015", *key, instance, types_kept)
        except asyncpg.ForeignKeyViolationError as error:
            raise NotAMemberError from error
        if not rows:
            raise NotAMemberError
        grants = [Grant(*row[:3]) for row in map(tuple, rows) if row[0] is not None]
        first = rows[0]
        return Share(
            grants,
            first["share"],
            first["types"],
            first["types_revision"],
            first["forget_in"],
            first["forgotten"] or (),
        )

    async def save(
        self, key: ConsumerKey, instance: UUID, changes: Changes, incarnation: int | None = None
    ) -> None:
        """Save the progress of an instance, all of it or nothing; fail in another incarnation of the log.

        Raises:
            NotAMemberError: It no longer owns all of the partitions.
        """
        partitions = [(p.partition, p.epoch, p.checkpoint, p.release) for p in changes.partitions]
        streams = [
            (s.partition, *s.key, s.version, s.position, s.attempts, s.error, s.retry_in, s.parked)
            for s in changes.streams
        ]
        rejoined = [(partition, *stream) for partition, stream in changes.rejoined]
        arrays = [*columns(partitions, 4), *columns(streams, 10), *columns(rejoined, 4)]
        arguments = (*key, instance, *arrays)
        if not await self._value("consumer_save", *arguments, only_in=incarnation, first="text"):
            raise NotAMemberError

    async def set_aside_streams(self, key: ConsumerKey, partitions: Sequence[int]) -> Sequence[StreamMark]:
        """Return the streams of these partitions that were set aside."""
        rows = await self._rows("consumer_aside_0011", *key, list(partitions))
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
                row["replays"],
            )
            for row in rows
        ]

    async def read(
        self,
        after: int,
        up_to: int,
        limit: int,
        tenant: str,
        types: Sequence[str],
        total: int,
        partitions: Sequence[int],
        *,
        most_bytes: int = _ANY,
        incarnation: int | None = None,
    ) -> Sequence[LogEntry]:
        """Read at most `limit` events of some partitions after `after` and up to `up_to`.

        The page ends with a number of bytes as one of `EventStore.read_log` does. In another incarnation
        of the log than the given one, it fails.
        """
        only = None if tenant == EVERY_TENANT else tenant
        where = (after, up_to, limit, most_bytes, only, list(types) or None, total, list(partitions))
        return log_entries(
            await self._rows("consumer_read_0010", *where, only_in=incarnation, first="bigint")
        )

    async def list(
        self, tenant: str | None, after: ConsumerKey | None = None, limit: int | None = None
    ) -> Sequence[ConsumerRow]:
        """Return the consumers of a tenant, or of all, by key.

        Args:
            tenant: The tenant; None: all.
            after: The consumer after which the list starts; None: it starts with the first.
            limit: The most consumers; None: any number.
        """
        start = after or (None, None)
        rows = await self._rows("consumer_list_0020", tenant, *start, limit)
        return [ConsumerRow._make(row) for row in rows]

    async def own(self) -> Sequence[ConsumerRow]:
        """Return the consumers of the platform itself, which `list` leaves out."""
        return [ConsumerRow(*row) for row in await self._rows("consumer_own")]

    async def parked(
        self,
        tenant: str | None,
        limit: int,
        *,
        consumer: str = "",
        aggregate_type: str = "",
        aggregate_id: str = "",
        position: int = 0,
        most_bytes: int = _ANY,
        after: ParkedKey | None = None,
    ) -> Sequence[ParkedRow]:
        """Return at most `limit` parked events of a tenant's consumers; None: of all tenants.

        Filters that are empty or 0 do not apply. The page ends with a number of bytes as one of
        `EventStore.read_log` does, and starts after the event `after`.
        """
        filters = (consumer or None, aggregate_type or None, aggregate_id or None, position or None)
        start = (None, None) if after is None else (list(after[:-1]), after.version)
        return [
            ParkedRow(
                ConsumerKey(row["consumer_tenant"], row["consumer"]),
                LogEntry._make(row["event"]),
                row["attempts"],
                row["error"],
                row["parked_at"],
            )
            for row in await self._rows("consumer_parked_0010", tenant, *filters, limit, most_bytes, *start)
        ]

    async def forget(self, days: int) -> Sequence[ConsumerKey]:
        """Remove the consumers without instances for so many days and nothing parked; return them."""
        return [ConsumerKey._make(row) for row in await self._rows("consumer_forget_0010", days)]

    async def replay(self, key: ConsumerKey, stream: StreamKey) -> int | None:
        """Replay a parked stream; return how many events it delivers again, None when it is not parked."""
        events: int | None = await self._value("consumer_replay", *key, *stream)
        return events

    async def drop(self, key: ConsumerKey, position: int, reason: str, actor: str) -> bool:
        """Drop a parked event; return False when it is not parked."""
        dropped: bool = await self._value("consumer_drop", *key, position, reason, actor)
        return dropped

    async def remove(self, key: ConsumerKey) -> bool | None:
        """Remove a consumer; return False while it has instances, None when it does not exist."""
        removed: bool | None = await self._value("consumer_remove", *key)
        return removed

    async def _rows(
        self, function: str, *arguments: Any, only_in: int | None = None, first: str = ""
    ) -> Sequence[Any]:
        call, given = self._call(function, arguments, only_in, first)
        with unavailable(), storable(asyncpg.ForeignKeyViolationError):
            rows: Sequence[Any] = await self._pool.fetch(call, *given)
            return rows

    async def _value(
        self, function: str, *arguments: Any, only_in: int | None = None, first: str = ""
    ) -> Any:
        call, given = self._call(function, arguments, only_in, first)
        with unavailable(), storable(asyncpg.ForeignKeyViolationError):
            return await self._pool.fetchval(call, *given)

    def _call(
        self, function: str, arguments: Sequence[Any], only_in: int | None, first: str
    ) -> tuple[str, Sequence[Any]]:
        """Return a call of a function, and its arguments.

        Args:
            function: The function.
            arguments: Its arguments.
            only_in: The incarnation of the log outside of which it must fail; None: it need not.
            first: The type of its first argument.
        """
        parameters = [f"${n}" for n in range(1, len(arguments) + 1)]
        if only_in is not None:
            parameters[0] = f"{self._schema}.in_incarnation(${len(arguments) + 1}, $1::{first})"
            arguments = [*arguments, only_in]
        call = f"select * from {self._schema}.{function}({', '.join(parameters)})"  # noqa: S608 - quoted
        return call, arguments
