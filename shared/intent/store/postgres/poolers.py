"""What differs where a pooler such as PgBouncer hands out the connections of the server.

It gives each transaction any of them, refuses start-up parameters that it does not know, and delivers no
notifications. So statements are prepared anew each time, time-outs are those of the role, and what needs a
session has the address of the server itself.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Final

import asyncpg

from intent.errors import ConfigurationError

__all__ = ["is_pooled", "pooler_in", "set_defaults", "unknown_pooler"]

_log: Final = logging.getLogger(__name__)

_SHARED: Final = (asyncpg.DuplicatePreparedStatementError, asyncpg.InvalidSQLStatementNameError)
"""What a session meets when its statements reach another connection than the one that prepared them."""

_DEFAULTS: Final = """
do $$ declare
    name text;
    value text;
begin
    for name, value in select n, v from unnest('{{{names}}}'::text[], '{{{values}}}'::text[]) as wanted (n, v)
        where not exists (select from pg_db_role_setting, unnest(setconfig) s
                          where setrole = current_user::regrole and split_part(s, '=', 1) = n) loop
        execute format('alter role %I in database %I set %I = %L',
                       current_user, current_database(), name, value);
    end loop;
end $$
"""


async def is_pooled(connection: Any) -> bool:
    """Return whether a pooler is between a connection and the server: the two name different processes."""
    async with connection.transaction():
        server: int = await connection.fetchval("select pg_backend_pid()")
    own: int = connection.get_server_pid()
    return server != own


async def set_defaults(connection: Any, settings: Mapping[str, str]) -> None:
    """Make settings the defaults of the connection's role, but for those that it has already.

    They hold for the connections that the pooler opens from now on.
    """
    statement = _DEFAULTS.format(names=",".join(settings), values=",".join(settings.values()))
    try:
        async with connection.transaction():
            # A role that only reads has transactions that write nothing, by default.
            await connection.execute("set transaction read write")
            await connection.execute(statement)
    except asyncpg.InternalServerError as error:
        _log.debug("another process sets the same: %s", error)
    except asyncpg.PostgresError as error:
        wanted = ", ".join(f"{name} = {value}" for name, value in settings.items())
        _log.warning(
            "statements through the pooler have no time-outs: %s; set for the role: %s", error, wanted
        )


def unknown_pooler(error: Exception) -> bool:
    """Return whether an error comes from a pooler that the settings do not mention."""
    return isinstance(error, _SHARED) or "unsupported startup parameter" in str(error)


def pooler_in(variable: str, found: object = "") -> ConfigurationError:
    """Return the error for the URL of a pooler where that of PostgreSQL itself is needed."""
    seen = f" ({found})" if found else ""
    if variable == "INTENT_DATABASE_DIRECT_URL":
        return ConfigurationError(
            f"{variable} leads to a pooler{seen}; set it to the URL of PostgreSQL itself, past the pooler"
        )
    return ConfigurationError(
        f"{variable} leads to a pooler, such as PgBouncer{seen}; set INTENT_DATABASE_DIRECT_URL to the URL "
        "of PostgreSQL itself, for what needs a session, and leave this one as it is"
    )
