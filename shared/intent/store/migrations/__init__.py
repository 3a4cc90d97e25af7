"""Migrations of a context's schema, by alembic.

The platform's revisions are in ``versions`` here; a context may bring a folder of its own, kept
track of in a table of its own. Both run in one transaction under a lock, so running twice, or in
two processes at once, is safe. Nothing here is imported by a serving process.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import asyncpg
from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from intent.errors import ConfigurationError
from intent.store.migrations.provisioning import Passwords, provision
from intent.store.roles import RoleNames

__all__ = ["Passwords", "migrate", "provision"]

_HERE = Path(__file__).parent
_ALONE = asyncio.Lock()
"""Alembic keeps what it migrates in global names, so one process migrates one context at a time."""


async def migrate(
    owner_dsn: str,
    context: str,
    *,
    folder: str | Path | None = None,
    prepare: Callable[[Any], Awaitable[None]] | None = None,
) -> None:
    """Brings a context's schema to the newest revision.

    Args:
        owner_dsn: Connects as the context's owner.
        context: The context.
        folder: A folder with the context's own revisions, or None.
        prepare: Runs last, in the same transaction, with asyncpg's connection; the read
            models' tables are made here.

    Raises:
        ConfigurationError: The server does not answer, or the schema is not provisioned.
    """
    names = RoleNames.of(context)
    engine = create_async_engine(_url(owner_dsn), poolclass=NullPool)
    try:
        async with _ALONE, engine.begin() as connection:
            await connection.execute(
                text("select pg_advisory_xact_lock(hashtext(:name))"), {"name": f"intent migrate {context}"}
            )
            await connection.run_sync(_upgrade, names, _HERE / "versions", "intent_migrations")
            if folder is not None:
                await connection.run_sync(_upgrade, names, Path(folder), "context_migrations")
            if prepare is not None:
                raw = await connection.get_raw_connection()
                await prepare(raw.driver_connection)
    except CommandError as error:
        raise ConfigurationError(
            f"the schema {names.schema} cannot be migrated: {_first_line(error)}; "
            "a newer version of the code has migrated it, or a revision is missing here"
        ) from error
    except (OSError, asyncpg.PostgresError, DBAPIError) as error:
        raise ConfigurationError(
            f"the schema {names.schema} cannot be migrated: {_first_line(error)}; "
            "check the owner's address and whether the context is provisioned (--provision)"
        ) from error
    finally:
        await engine.dispose()


def _upgrade(connection: Connection, names: RoleNames, folder: Path, version_table: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(_HERE).replace("%", "%%"))
    config.set_main_option("version_locations", str(folder).replace("%", "%%"))
    config.set_main_option("path_separator", "newline")
    config.attributes["connection"] = connection
    config.attributes["version_table"] = version_table
    config.attributes["names"] = names.as_dict()
    command.upgrade(config, "head")


def _url(dsn: str) -> Any:
    return make_url(dsn.replace("postgres://", "postgresql://", 1)).set(drivername="postgresql+asyncpg")


def _first_line(error: BaseException) -> str:
    return str(getattr(error, "orig", None) or error).strip().splitlines()[0]
