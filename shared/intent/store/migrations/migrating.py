"""The migration of a context's schema, by alembic, under a lock."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import asyncpg
from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from intent.errors import ConfigurationError
from intent.settings.database_urls import database_url
from intent.store.locks import lock_schema
from intent.store.migrations.blockers import Blockers, blockers, holder_of_earlier_lock
from intent.store.roles import RoleNames, quoted

__all__ = ["migrate"]

_log: Final = logging.getLogger(__name__)
_HERE = Path(__file__).parent
_VERSIONS = _HERE / "versions"
_PLATFORM = "intent_migrations"
"""The table that tracks the platform's revisions."""
_OWN: Final = "context_migrations"
"""That of the context's own."""
_FIXED_SHAPES = "0004"
"""The first revision whose functions return rows of a fixed shape."""
_LOCKS: Final = ("300s", "10s")
"""How long to wait for another migration, and then for each lock on a table, whose users queue behind it."""
_UNNAMED: Final = {
    "prepared_statement_cache_size": 0,
    "prepared_statement_name_func": lambda: "",
}
"""Behind a pooler, names of statements would meet those that another process has left."""
_ALONE = asyncio.Lock()
"""Alembic keeps its state in global names, so a process migrates one context at a time."""


async def migrate(
    owner_dsn: str,
    context: str,
    *,
    folder: str | Path | None = None,
    prepare: Callable[[Any], Awaitable[None]] | None = None,
    record: Callable[[Any, str, str], Awaitable[None]] | None = None,
) -> None:
    """Migrate a context's schema to the newest revision.

    Args:
        owner_dsn: The address, with the context's owner.
        context: The context.
        folder: A folder with the context's own revisions, or None.
        prepare: Runs last, in the same transaction, with asyncpg's connection; it creates the tables of
            the read models.
        record: Records what was done, after all else in the same transaction, with the connection and the
            revisions before and after, which are equal when none was applied.

    Raises:
        ConfigurationError: The server does not answer, the schema is not provisioned, or somebody else
            holds a lock for too long.
    """
    names = RoleNames.of(context)
    engine = _engine(owner_dsn)
    watched = Blockers()
    try:
        async with _ALONE, blockers(owner_dsn, watched):
            async with _locked(engine, names, watched) as connection:
                if await _in_use(connection, names):
                    await connection.run_sync(_upgrade, names, _VERSIONS, _PLATFORM, to=_FIXED_SHAPES)
            async with _locked(engine, names, watched) as connection:
                before = await _revisions(connection, names)
                await connection.run_sync(_upgrade, names, _VERSIONS, _PLATFORM)
                if folder is not None:
                    await connection.run_sync(_upgrade, names, Path(folder), _OWN)
                await _prepare(connection, prepare)
                after = await _revisions(connection, names)
                if record is not None:
                    raw = await connection.get_raw_connection()
                    await record(raw.driver_connection, before, after)
    except CommandError as error:
        raise ConfigurationError(
            f"the schema {names.schema} cannot be migrated: {_first_line(error)}; "
            "a newer version of the code has migrated it, or a revision is missing here"
        ) from error
    except (OSError, asyncpg.PostgresError, DBAPIError) as error:
        raise _refusal_of(names, error, watched) from error
    finally:
        await engine.dispose()


def _refusal_of(names: RoleNames, error: Exception, watched: Blockers) -> ConfigurationError:
    """Return the error for what PostgreSQL has refused."""
    if getattr(getattr(error, "orig", error), "sqlstate", None) == asyncpg.LockNotAvailableError.sqlstate:
        return ConfigurationError(
            f"the schema {names.schema} cannot be migrated now: {watched.seen or 'something else'} holds a "
            "lock, such as another migration or a backup does; nothing has changed for its processes: "
            "migrate again when it is done, or end it (pg_terminate_backend)"
        )
    return ConfigurationError(
        f"the schema {names.schema} cannot be migrated: {_first_line(error)}; "
        "check the owner's address and whether the context is provisioned (--provision)"
    )


@asynccontextmanager
async def _locked(engine: AsyncEngine, names: RoleNames, watched: Blockers) -> AsyncIterator[AsyncConnection]:
    """Open a transaction in which nobody else migrates the context, and nothing blocks for ever."""
    async with engine.begin() as connection:
        watched.pid = await connection.scalar(text("select pg_backend_pid()"))
        for_migrations, for_tables = (f"set local lock_timeout = '{seconds}'" for seconds in _LOCKS)
        await connection.exec_driver_sql(for_migrations)
        await connection.exec_driver_sql(lock_schema(names.schema))
        await connection.exec_driver_sql(for_tables)
        raw = await connection.get_raw_connection()
        holder = await holder_of_earlier_lock(raw.driver_connection, names.schema)
        if holder:
            _log.warning(
                "%s holds the lock under which earlier releases migrate the schema %s: one of them may be "
                "migrating it now; going on without, since anybody who may connect can hold that lock",
                holder,
                names.schema,
            )
        yield connection


async def _in_use(connection: AsyncConnection, names: RoleNames) -> bool:
    """Return whether the schema was migrated before, so that processes may be running on it."""
    table = f"{quoted(names.schema)}.{_PLATFORM}"
    exists = await connection.scalar(text("select to_regclass(:table) is not null"), {"table": table})
    return bool(exists)


async def _revisions(connection: AsyncConnection, names: RoleNames) -> str:
    """Return the revisions of the schema, the platform's and the context's own; empty: none."""
    found = []
    for name in (_PLATFORM, _OWN):
        table = f"{quoted(names.schema)}.{name}"
        if await connection.scalar(text("select to_regclass(:table) is not null"), {"table": table}):
            found.append(await connection.scalar(text(f"select version_num from {table}")))  # noqa: S608
    return " and ".join(filter(None, found))


async def _prepare(connection: AsyncConnection, prepare: Callable[[Any], Awaitable[None]] | None) -> None:
    if prepare is not None:
        raw = await connection.get_raw_connection()
        await prepare(raw.driver_connection)


def _upgrade(
    connection: Connection, names: RoleNames, folder: Path, version_table: str, to: str = "head"
) -> None:
    config = Config()
    config.set_main_option("script_location", str(_HERE).replace("%", "%%"))
    config.set_main_option("version_locations", str(folder).replace("%", "%%"))
    config.set_main_option("path_separator", "newline")
    config.attributes["connection"] = connection
    config.attributes["version_table"] = version_table
    config.attributes["names"] = names.as_dict()
    command.upgrade(config, to)


def _engine(dsn: str) -> AsyncEngine:
    """Return an engine whose connections asyncpg opens, which alone reads the URL."""
    database_url(dsn)

    async def connect(**_: Any) -> Any:
        return await asyncpg.connect(dsn, statement_cache_size=0)

    return create_async_engine(
        "postgresql+asyncpg://", poolclass=NullPool, connect_args={"async_creator_fn": connect, **_UNNAMED}
    )


def _first_line(error: BaseException) -> str:
    return str(getattr(error, "orig", None) or error).strip().splitlines()[0]
