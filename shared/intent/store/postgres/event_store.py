"""The event store on PostgreSQL."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, Final

import asyncpg

from intent.background import Background
from intent.errors import ConfigurationError, ServerUnavailable, StoreUnavailable
from intent.records import CommandKey, LogEntry, Snapshot, StreamKey
from intent.store.epochs import Epoch, LogEpochs
from intent.store.event_store import (
    AppendResult,
    Loaded,
    LogFilter,
    StoredCommand,
    StreamAppend,
)
from intent.store.postgres.append import append_arguments, append_result, append_statement
from intent.store.postgres.connections import storable, unavailable
from intent.store.postgres.loading import load_arguments, loaded, log_entries
from intent.store.postgres.pools import ConnectionPool, open_pool, require_direct
from intent.store.postgres.wakeups import WakeUps
from intent.store.roles import RoleNames, quoted
from intent.waiting import now

__all__ = ["PostgresEventStore"]

_EVERYTHING: Final = LogFilter()
_ANY_BYTES: Final = 1 << 62
"""More bytes than a page can have."""
_NEWEST: Final = "chain_heads_0023"
"""A function of the newest revision that a process calls."""
_CAREFUL: Final = 0.2
"""Seconds for which appends look first, after one has met a stream or command written before."""
_LARGE: Final = 10.0
"""Seconds for which pages are summed up at once, after a load has met an event that is large."""
_MAKE_DURABLE: Final = """
select case when current_setting('synchronous_standby_names') <> ''
    then pg_logical_emit_message(true, 'intent', '') end
"""
"""A commit of its own, which a synchronous standby confirms after everything that was committed before."""


class PostgresEventStore:
    """The log of one context in its schema; implements `intent.store.event_store.EventStore`.

    All access goes through functions of the schema, each in one round trip. Open it with `open`.

    What a load or an append reports as written before may come from a commit whose outcome nobody knows:
    one that no synchronous standby has confirmed yet. Whoever reports it acknowledges it, so it is made
    durable first.

    Args:
        pool: Connections of the service role.
        dsn: The address at which to listen for appends of other processes.
        schema: The context's schema.
        background: Runs what is done in the background.

    Attributes:
        pool: The connections, for the other work of the process in the schema.
        wake_ups: Wakes readers, in this process and in others.
        epochs: The epochs of the log. Each new connection asks for them before anything else, so nothing
            is read or written in an epoch that the process has not noticed.
    """

    def __init__(
        self, pool: ConnectionPool, dsn: str, schema: str, background: Background | None = None
    ) -> None:
        self.pool = pool
        self.epochs = LogEpochs(schema, refresh=self._refresh)
        self.wake_ups = WakeUps(dsn, f"intent_{schema}", self._read_position, background, self._notice)
        self.epochs.on_begin(self.wake_ups.forget)
        own = quoted(schema)
        self._append = append_statement(own, careful=False, checked=True)
        self._append_carefully = append_statement(own, checked=True)
        self._careful_until = 0.0
        call = f"select * from {own}"  # noqa: S608 - a quoted identifier
        self._summed_until = 0.0
        self._load = f"{call}.load_0012($1, $2, $3, $4, $5, $6, $7)"
        self._load_page = f"{call}.load_page($1, $2, $3, $4, $5, $6, $7)"
        first = f"{own}.in_incarnation"
        self._keep_snapshot = f"{call}.keep_snapshot({first}($7, $1::text), $2, $3, $4, $5, $6)"
        self._read_log = f"{call}.read_log_0005({first}($8, $1::bigint), $2, $3, $4, $5, $6, $7)"
        self._read_log_page = f"{call}.read_log_0010({first}($8, $1::bigint), $2, $9, $3, $4, $5, $6, $7)"
        self._read_span = f"{call}.read_span_0017({first}($9, $1::bigint), $2, $3, $4, $5, $6, $7, $8)"
        self._epochs = f"{call}.log_epochs($1, $2)"
        self._read_positions = f"{call}.read_positions_0005($1)"
        self._read_stream = f"{call}.read_stream_0005({first}($6, $1::text), $2, $3, $4, $5)"
        self._read_stream_page = f"{call}.read_stream_0010({first}($6, $1::text), $2, $3, $4, $5, $7)"
        self._position = f"{call}.log_position()"

    @classmethod
    async def open(
        cls,
        dsn: str,
        context: str,
        *,
        connections: int = 4,
        statement_timeout: float = 10.0,
        direct_dsn: str = "",
        background: Background | None = None,
    ) -> PostgresEventStore:
        """Connect to the schema of a context.

        Args:
            dsn: The address, with the context's service role.
            context: The context.
            connections: The most connections; one more listens.
            statement_timeout: Seconds that one call may take.
            direct_dsn: The address of the server itself, to listen there, where `dsn` leads to a pooler
                that gives each transaction any of its connections; empty: it does not.
            background: Runs what is done in the background.

        Raises:
            ServerUnavailable: The server does not answer, or not yet.
            ConfigurationError: The server refuses the role, or the schema is not migrated.
        """
        names = RoleNames.of(context)
        if direct_dsn:
            await require_direct(direct_dsn, statement_timeout)
        pool = await open_pool(dsn, connections=connections, timeout=statement_timeout, direct_dsn=direct_dsn)
        store = cls(pool, direct_dsn or dsn, names.schema, background)
        try:
            await _require_migrated(pool, names.schema)
            await store._refresh()
        except BaseException:
            pool.terminate()
            raise
        pool.on_connect(store._notice)
        store.wake_ups.start()
        return store

    def over(self, pool: ConnectionPool) -> PostgresEventStore:
        """Return the same log, accessed over other connections; closing this store closes both."""
        other = copy.copy(self)
        other.pool = pool
        pool.on_connect(self._notice)
        return other

    async def close(self) -> None:
        """Close the connections; calls that are under way fail."""
        await self.wake_ups.stop()
        self.pool.terminate()

    async def append(self, streams: Sequence[StreamAppend]) -> AppendResult:
        """See `EventStore.append`."""
        if not streams:
            return AppendResult([], await self.position())
        epoch = self.epochs.current
        for stream in streams:
            self.epochs.check(stream.epoch)
        with unavailable(), storable():
            row = await self._written([*append_arguments(streams), self.epochs.incarnation])
            result = append_result(streams, row)
            if row["d_id"]:
                await self.pool.commit(_MAKE_DURABLE)
        if epoch == self.epochs.current:
            self._reported(result.position)
            if result.position > row["base"]:
                self.wake_ups.appended(result.position)
        return result

    async def _written(self, arguments: Sequence[Any]) -> Any:
        """Append without looking first; after a failure, look first for a while.

        A failure costs a transaction that is rolled back, so a contested log is not tried so again at once.
        """
        if now() >= self._careful_until:
            try:
                return await self.pool.commit(self._append, *arguments)
            except asyncpg.UniqueViolationError:
                self._careful_until = now() + _CAREFUL
        return await self.pool.commit(self._append_carefully, *arguments)

    async def load(self, streams: Sequence[StreamKey], commands: Sequence[CommandKey]) -> Loaded:
        """See `EventStore.load`."""
        with unavailable(), storable():
            answer = await self._loaded(streams, commands)
            if answer.commands:
                await self.pool.commit(_MAKE_DURABLE)
        return answer

    async def _loaded(self, streams: Sequence[StreamKey], commands: Sequence[CommandKey]) -> Loaded:
        """Load in the way that suits events as most are, or else as large ones need it."""
        arguments = load_arguments(streams, commands)
        if now() >= self._summed_until:
            rows = await self.pool.fetch(self._load, *arguments)
            if (answer := loaded(streams, commands, rows)) is not None:
                return answer
            self._summed_until = now() + _LARGE
        answer = loaded(streams, commands, await self.pool.fetch(self._load_page, *arguments))
        assert answer is not None
        return answer

    async def keep_snapshot(self, key: StreamKey, snapshot: Snapshot, epoch: str = "") -> None:
        """See `EventStore.keep_snapshot`."""
        self.epochs.check(epoch)
        arguments = (*key, snapshot.version, snapshot.state_version, snapshot.state)
        with unavailable(), storable():
            await self.pool.commit(self._keep_snapshot, *arguments, self.epochs.incarnation)

    async def read_log(
        self,
        after: int,
        limit: int,
        where: LogFilter | None = None,
        *,
        most_bytes: int | None = None,
        last: int | None = None,
    ) -> Sequence[LogEntry]:
        """See `EventStore.read_log`."""
        only = where or _EVERYTHING
        named = (only.aggregate_type or None, only.aggregate_id or None, only.correlation_id or None)
        kind = list(only.types) or None
        arguments = (after, limit, only.tenant, kind, *named, self.epochs.incarnation)
        with unavailable(), storable():
            if last is not None and not only.correlation_id:
                span = (after, last, limit, most_bytes or _ANY_BYTES, only.tenant, kind, *named[:2])
                rows = await self.pool.fetch(self._read_span, *span, self.epochs.incarnation)
            elif most_bytes is None:
                rows = await self.pool.fetch(self._read_log, *arguments)
            else:
                rows = await self.pool.fetch(self._read_log_page, *arguments, most_bytes)
        return log_entries(rows)

    async def read_positions(self, positions: Sequence[int]) -> Sequence[LogEntry]:
        """See `EventStore.read_positions`."""
        with unavailable(), storable():
            rows = await self.pool.fetch(self._read_positions, list(positions))
        return log_entries(rows)

    async def read_stream(
        self,
        key: StreamKey,
        after_version: int = 0,
        limit: int = 1000,
        *,
        most_bytes: int | None = None,
    ) -> Sequence[LogEntry]:
        """See `EventStore.read_stream`."""
        arguments = (*key, after_version, limit, self.epochs.incarnation)
        with unavailable(), storable():
            if most_bytes is None:
                rows = await self.pool.fetch(self._read_stream, *arguments)
            else:
                rows = await self.pool.fetch(self._read_stream_page, *arguments, most_bytes)
        return log_entries(rows)

    async def command(self, key: CommandKey) -> StoredCommand | None:
        """See `EventStore.command`."""
        return (await self.load([], [key])).commands.get(key)

    async def position(self) -> int:
        """See `EventStore.position`."""
        position = await self._read_position()
        self.wake_ups.heard(position)
        return position

    async def wait_beyond(self, position: int, timeout: float) -> int:
        """See `EventStore.wait_beyond`."""
        known = await self.wake_ups.wait_beyond(position, timeout)
        return known if known > position else await self.position()

    async def _read_position(self) -> int:
        while True:
            epoch, reported = self.epochs.current, self.epochs.reported
            with unavailable():
                position: int = await self.pool.fetchval(self._position)
            if position < reported and epoch == self.epochs.current:
                await self._refresh()
            if epoch == self.epochs.current:
                self._reported(position)
                return position

    def _reported(self, position: int) -> None:
        """Note what the log has reported in the current epoch."""
        self.epochs.reported = max(position, self.epochs.reported)

    async def _refresh(self) -> None:
        with unavailable():
            async with self.pool.acquire() as connection:
                await self._notice(connection)

    async def _notice(self, connection: Any) -> None:
        """Ask whether another epoch has begun, before a connection is used for anything else."""
        while True:
            begun = self.epochs.begun
            known = self.epochs.current or None
            rows = await connection.fetch(self._epochs, known, self.epochs.reported)
            if begun == self.epochs.begun:
                break
        self.epochs.learn([Epoch(str(row[0]), row[1], row[2]) for row in rows])


async def _require_migrated(pool: ConnectionPool, schema: str) -> None:
    try:
        with unavailable(asyncpg.SyntaxOrAccessError):
            own = quoted(schema)
            await pool.fetchrow(f"select {own}.log_position(), $1::text::regproc", f"{own}.{_NEWEST}")
    except asyncpg.SyntaxOrAccessError as error:
        raise ConfigurationError(
            f"the schema {schema} cannot be used: {error}; "
            f"bring it up to date first with `intent migrate {schema}`"
        ) from error
    except StoreUnavailable as error:
        raise ServerUnavailable(f"the schema {schema} cannot be read: {error}") from error
