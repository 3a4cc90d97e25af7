"""What keeps the roles of one context from taking the server from the others.

A role's own defaults guard against slips only, since a session may set others; what nobody gets around
are the limits of connections and the rights.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any, Final

from intent.store.roles import RoleNames

__all__ = ["Limits", "close_database", "limit_roles"]

_log: Final = logging.getLogger(__name__)
_OWNER: Final = 10
"""Connections of the owner, which migrates: two for each migration."""
_UNLIMITED: Final = -1
_QUERY_DEFAULTS: Final = {
    "default_transaction_read_only": "on",
    "statement_timeout": "10s",
    "idle_in_transaction_session_timeout": "10s",
}
_LARGE_OBJECTS: Final = ("lo_creat(integer)", "lo_create(oid)", "lo_from_bytea(oid, bytea)")
"""Functions by which every role may write what is kept until somebody finds it."""
_SET: Final = """
select exists (select from pg_db_role_setting s, unnest(s.setconfig) c
    where s.setrole = $1::text::regrole and split_part(c, '=', 1) = $2)
"""


@dataclass(frozen=True, slots=True)
class Limits:
    """How many connections the roles of a context may have; -1: any number.

    Attributes:
        service: Those of the service role; 0: half of what the server takes, unless it has a limit.
        query: Those of the query role; 0: a quarter of what the server takes, unless it has a limit.
    """

    service: int = 0
    query: int = 0


async def limit_roles(connection: Any, names: RoleNames, limits: Limits) -> None:
    """Limit the connections of a context's roles, and give the query role defaults that suit reading.

    What somebody has set otherwise is kept.
    """
    most = int(await connection.fetchval("select current_setting('max_connections')"))
    for role, wanted, share in (
        (names.owner, 0, min(_OWNER, most)),
        (names.service, limits.service, most // 2),
        (names.query, limits.query, most // 4),
    ):
        limit = await connection.fetchval("select rolconnlimit from pg_roles where rolname = $1", role)
        new = wanted or (max(share, 1) if limit == _UNLIMITED else limit)
        if new != limit:
            await connection.execute(f"alter role {role} connection limit {new}")
    for name, value in _QUERY_DEFAULTS.items():
        if not await connection.fetchval(_SET, names.query, name):
            await connection.execute(f"alter role {names.query} set {name} = '{value}'")


async def close_database(connection: Any, names: RoleNames) -> None:
    """Let a context's roles connect to the database, and take from all others what every role has.

    An administrator who owns neither the database nor PostgreSQL's own functions cannot take it; then a
    line of the log says which statement its owner or a superuser is to run.
    """
    database = await connection.fetchval("select quote_ident(current_database())")
    for role in (names.owner, names.service, names.query):
        await connection.execute(f"grant connect on database {database} to {role}")
    for right in ("connect", "temporary"):
        held = "select has_database_privilege('public', current_database(), $1)"
        await _revoke(connection, held, right, f"revoke {right} on database {database} from public")
    for function in _LARGE_OBJECTS:
        held = "select has_function_privilege('public', $1, 'execute')"
        await _revoke(connection, held, function, f"revoke execute on function {function} from public")


async def _revoke(connection: Any, held: str, what: str, statement: str) -> None:
    if not await connection.fetchval(held, what):
        return
    # Without the right to revoke, PostgreSQL only warns.
    await connection.execute(statement)
    if await connection.fetchval(held, what):
        _log.warning("every role of the server may still use this; have its owner run: %s", statement)
