"""The audit and the chains of digests in PostgreSQL, each operation one call of a function of the schema."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple

import asyncpg

from intent.auditing.chain import PARTS, TIME
from intent.auditing.entries import AuditEntry, AuditRow
from intent.auditing.heads import Head
from intent.errors import ConfigurationError
from intent.settings.database_urls import database_url
from intent.store.postgres.arrays import columns
from intent.store.postgres.connections import storable, unavailable
from intent.store.postgres.pools import ConnectionPool
from intent.store.roles import quoted

__all__ = ["AuditDatabase", "AuditFilter", "Link", "SetBack", "write_as_owner", "write_over"]

_WIDTH: Final = 10
_LAST: Final = (1 << 63) - 1
_FIRST: Final = -(1 << 63)
_PAGE_BYTES: Final = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which entries; what is None does not narrow.

    Attributes:
        kind: Only of this kind.
        actor: Only of this actor.
        tenant: Only of this tenant.
        since: Only those recorded at this time or later.
        until: Only those recorded before.
    """

    kind: str | None = None
    actor: str | None = None
    tenant: str | None = None
    since: datetime | None = None
    until: datetime | None = None


class Link(NamedTuple):
    """A link of a chain; the fields are in the order of the function's columns.

    Attributes:
        number: Its number in the chain.
        first: The position of its first row; after `last` in the first link, which has none.
        last: That of its last row.
        before: The position up to which the chain led before.
        encoding: The number of the encoding of its rows.
        marks: The first four bytes of the digest of each row.
        digest: The digest over the rows and over the digest of the link before.
    """

    number: int
    first: int
    last: int
    before: int
    encoding: int
    marks: bytes
    digest: bytes


class SetBack(NamedTuple):
    """A link with which a log goes on that was set back in its place.

    Attributes:
        number: The number of the link.
        first: The first position that was written anew.
        before: The last position that the log had before.
        in_epoch: Whether an epoch of the log began there, so that every process knows it.
    """

    number: int
    first: int
    before: int
    in_epoch: bool


class AuditDatabase:
    """Calls the functions of the audit; fulfils `AuditLog`.

    Every method raises `StoreUnavailable` when PostgreSQL is unavailable.

    Args:
        pool: Connections of the service role.
        schema: The context's schema.
    """

    def __init__(self, pool: ConnectionPool, schema: str) -> None:
        self._pool = pool
        own = quoted(schema)
        call = f"select * from {own}"  # noqa: S608 - a quoted identifier
        self._write = _writing(schema)
        self._read = f"{call}.audit_read_0022($1, $2, $3, $4, $5, $6, $7, $8, $9)"
        self._heads = f"{call}.chain_heads_0023()"
        self._links = f"{call}.chain_links_0023($1, $2, $3)"
        self._set_backs = f"{call}.chain_set_backs_0023($1)"
        nothing = "null, null, null, null, null"
        self._rows = {
            "events": _encoded("events", f"{own}.read_log_0010($1, $2, {_PAGE_BYTES}, {nothing})"),
            "audit": _encoded("audit", f"{own}.audit_read_0022($1, {_LAST}, false, $2, {nothing})"),
        }

    async def write(self, entries: Sequence[AuditEntry]) -> None:
        """See `AuditLog.write`."""
        with unavailable(), storable():
            await self._pool.commit(self._write, *_arguments(entries))

    async def read(
        self, where: AuditFilter, *, after: int = 0, before: int = 0, most: int = 100, newest: bool = False
    ) -> Sequence[AuditRow]:
        """Read entries, in their order or the newest first.

        Args:
            where: Which ones.
            after: Only those after this position.
            before: Only those before this position; 0: all.
            most: The most entries.
            newest: Whether to begin with the newest.
        """
        only = (where.kind, where.actor, where.tenant, where.since, where.until)
        with unavailable(), storable():
            rows = await self._pool.fetch(self._read, after, before or _LAST, newest, most, *only)
        return [AuditRow(*row) for row in rows]

    async def heads(self) -> Mapping[str, Head]:
        """Return the ends of the chains: ``events`` and ``audit``."""
        with unavailable():
            rows = await self._pool.fetch(self._heads)
        return {name: Head(*values) for name, *values in rows}

    async def links(self, of: str, after: int, most: int) -> Sequence[Link]:
        """Read links after a number, of ``events`` or ``audit``."""
        with unavailable():
            rows = await self._pool.fetch(self._links, of, after, most)
        return [Link(*row) for row in rows]

    async def set_backs(self, of: str) -> Sequence[SetBack]:
        """Read the links with which ``events`` or ``audit`` go on after they were set back, in order."""
        with unavailable():
            rows = await self._pool.fetch(self._set_backs, of)
        return [SetBack(*row) for row in rows]

    async def rows(self, of: str, after: int | None, most: int) -> Sequence[Any]:
        """Read what is chained of rows after a position; None: from the very first, of any position.

        Times come as PostgreSQL sends them: it knows some that Python does not.
        """
        with unavailable():
            rows = await self._pool.fetch(self._rows[of], _FIRST if after is None else after, most)
        return list(rows)


async def write_over(connection: Any, schema: str, entry: AuditEntry) -> None:
    """Record an entry over a connection of the owner, in its transaction.

    Raises:
        asyncpg.PostgresError: It is not recorded.
    """
    await connection.fetch(_writing(schema), *_arguments([entry]))


async def write_as_owner(owner_url: str, schema: str, entry: AuditEntry) -> None:
    """Record an action that is about to be done over a connection of the owner.

    Raises:
        ConfigurationError: It is not recorded: PostgreSQL does not answer, or refuses.
    """
    database_url(owner_url)
    try:
        connection = await asyncpg.connect(owner_url)
        try:
            await write_over(connection, schema, entry)
        finally:
            await connection.close()
    except (OSError, asyncpg.PostgresError) as error:
        raise ConfigurationError(
            f"nothing was done, because it cannot be recorded in the audit: {error}"
        ) from error


def _encoded(of: str, source: str) -> str:
    columns_ = (
        f"timestamptz_send({name}) as {name}" if kind is TIME else name for name, kind in PARTS[of].items()
    )
    return f"select {', '.join(columns_)} from {source} order by position"  # noqa: S608 - names of the schema


def _writing(schema: str) -> str:
    return f"select {quoted(schema)}.audit_write_0022($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"


def _arguments(entries: Sequence[AuditEntry]) -> Sequence[Any]:
    return columns([_row(entry) for entry in entries], _WIDTH)


def _row(entry: AuditEntry) -> tuple[Any, ...]:
    return (
        entry.kind,
        entry.method,
        entry.actor,
        entry.tenant,
        entry.peer,
        entry.reason,
        entry.target,
        entry.correlation_id,
        entry.times,
        entry.since,
    )
