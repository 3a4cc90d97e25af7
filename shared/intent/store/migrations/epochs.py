"""Another epoch of a log that an operator has set back in its place."""

from __future__ import annotations

import asyncpg

from intent.errors import ConfigurationError
from intent.settings.database_urls import database_url
from intent.store.roles import RoleNames, quoted

__all__ = ["begin_epoch"]


async def begin_epoch(context: str, owner_url: str) -> str:
    """Begin another epoch of a context's log, which was set back in its place; return its id.

    Args:
        context: The context.
        owner_url: The URL of the database for the context's owner.

    Raises:
        ConfigurationError: PostgreSQL does not answer, or refuses.
    """
    database_url(owner_url)
    try:
        connection = await asyncpg.connect(owner_url)
        try:
            statement = f"select {quoted(RoleNames.of(context).schema)}.log_new_epoch()"
            return str(await connection.fetchval(statement))
        finally:
            await connection.close()
    except (OSError, asyncpg.PostgresError) as error:
        raise ConfigurationError(f"the log of {context} has begun no epoch: {error}") from error
