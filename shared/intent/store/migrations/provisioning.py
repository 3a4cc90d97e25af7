"""Provisioning a database for a context: its roles and its schema."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from typing import Any, Final

import asyncpg

from intent.errors import ConfigurationError
from intent.settings.database_urls import database_url
from intent.store.migrations.isolation import Limits, close_database, limit_roles
from intent.store.migrations.verifiers import fits, verifier_of
from intent.store.roles import RoleNames, quoted

__all__ = ["Limits", "Passwords", "provision"]

_log: Final = logging.getLogger(__name__)
_ATTEMPTS: Final = 10
_TURN: Final = "10s"
"""How long provisionings wait for each other; anybody who may connect can hold their lock."""
_RACES: Final = (
    asyncpg.UniqueViolationError,
    asyncpg.DuplicateObjectError,
    asyncpg.InternalServerError,
    asyncpg.DeadlockDetectedError,
)
"""What PostgreSQL reports when two sessions create or change the same role, which it does not lock."""

_ELSEWHERE: Final = """
select d.datname::text as datname from pg_shdepend s
    join pg_database d on d.oid = case when s.classid = 'pg_database'::regclass then s.objid else s.dbid end
where s.refclassid = 'pg_authid'::regclass and d.datname <> current_database()
    and s.refobjid in (select r.oid from pg_roles r where r.rolname = any ($1::text[]))
group by 1 order by 1
"""
_KEPT: Final = "select rolpassword from pg_authid where rolname = $1"


@dataclass(frozen=True, slots=True)
class Passwords:
    """Passwords of the roles that log in; None leaves a role's password as it is.

    Attributes:
        owner: The password of the owner.
        service: The password of the service role.
        query: The password of the query role.
    """

    owner: str | None = None
    service: str | None = None
    query: str | None = None


async def provision(
    admin_dsn: str,
    context: str,
    passwords: Passwords | None = None,
    *,
    share_roles: bool = False,
    limits: Limits | None = None,
) -> None:
    """Create a context's roles and schema; what exists already is kept.

    Args:
        admin_dsn: The address, with a role that may create roles and schemas.
        context: The context.
        passwords: Passwords to set.
        share_roles: Whether the roles may be those of another database of the server, with their passwords.
        limits: How many connections the roles may have.

    Raises:
        ConfigurationError: The server does not answer, the role lacks a right, or the context's roles
            belong to another database of the server.
    """
    names, secrets, bounds = RoleNames.of(context), passwords or Passwords(), limits or Limits()
    database_url(admin_dsn)
    try:
        connection = await asyncpg.connect(admin_dsn, statement_cache_size=0)
    except (OSError, asyncpg.PostgresError, ValueError) as error:
        raise ConfigurationError(f"PostgreSQL does not let the administrator in: {error}") from error
    try:
        await _repeated(lambda: _provision(connection, names, secrets, bounds, share_roles=share_roles))
    except asyncpg.PostgresError as error:
        raise ConfigurationError(f"the context {context} cannot be provisioned: {error}") from error
    finally:
        await connection.close()


async def _repeated(action: Callable[[], Awaitable[None]]) -> None:
    """Repeat an action that may have raced with another process.

    Roles belong to the whole server, but no lock that an administrator may take spans its databases.
    """
    for _ in range(_ATTEMPTS - 1):
        try:
            return await action()
        except _RACES as error:
            _log.debug("provisioning again: %s", error)
    return await action()


async def _provision(
    connection: Any, names: RoleNames, secrets: Passwords, limits: Limits, *, share_roles: bool
) -> None:
    async with connection.transaction():
        await connection.execute(f"set local lock_timeout = '{_TURN}'")
        await _take_turn(connection)
        elsewhere = await _elsewhere(connection, names)
        if elsewhere and not share_roles:
            raise ConfigurationError(_taken(names, elsewhere))
        created = await _create_roles(connection, names)
        await _set_passwords(connection, names, secrets, only=created if elsewhere else None)
        await _create_schema(connection, names)
        await limit_roles(connection, names, limits)
        await close_database(connection, names)


async def _take_turn(connection: Any) -> None:
    """Wait a little for other provisionings, which spares both a repetition."""
    try:
        async with connection.transaction():
            await connection.execute("select pg_advisory_xact_lock(hashtext('intent provision'))")
    except asyncpg.LockNotAvailableError:
        _log.warning("another session has provisioned, or held its lock, for %s; going on beside it", _TURN)


async def _elsewhere(connection: Any, names: RoleNames) -> list[str]:
    """Return the other databases of the server that a context's roles have something in."""
    found = await connection.fetch(_ELSEWHERE, [names.owner, names.service, names.query])
    return [row["datname"] for row in found]


def _taken(names: RoleNames, databases: list[str]) -> str:
    return (
        f"the roles of the context {names.schema} belong to the database {', '.join(databases)}, and roles "
        "are the same in all databases of a server: who may log in to one may log in to the other. Give each "
        "environment a server of its own, or share the roles and their passwords (--share-roles)"
    )


async def _create_roles(connection: Any, names: RoleNames) -> set[str]:
    """Create the roles that do not exist, and return which."""
    created = set()
    for role, login in (
        (names.owner, True),
        (names.service, True),
        (names.query, True),
        (names.log, False),
        (names.projector, False),
    ):
        if not await connection.fetchval("select exists (select from pg_roles where rolname = $1)", role):
            await connection.execute(f"create role {role} {'login' if login else 'nologin'}")
            created.add(role)
    # Without inheritance: a member must assume the role explicitly, and sees nothing through it before.
    for role, member in (
        (names.log, names.owner),
        (names.projector, names.owner),
        (names.projector, names.service),
    ):
        await connection.execute(f"grant {role} to {member} with inherit false, set true")
    return created


async def _set_passwords(
    connection: Any, names: RoleNames, secrets: Passwords, only: Collection[str] | None
) -> None:
    """Set the passwords that differ, of some roles or of all.

    PostgreSQL logs statements that fail or change roles, so it is sent verifiers only.
    """
    readable = await connection.fetchval("select has_table_privilege('pg_catalog.pg_authid', 'select')")
    for role, password in (
        (names.owner, secrets.owner),
        (names.service, secrets.service),
        (names.query, secrets.query),
    ):
        if password is None or (only is not None and role not in only):
            continue
        kept = await connection.fetchval(_KEPT, role) if readable else None
        if not fits(password, kept or ""):
            await connection.execute(f"alter role {role} password '{verifier_of(password)}'")


async def _create_schema(connection: Any, names: RoleNames) -> None:
    await connection.execute(f"grant {names.owner} to current_user")
    await connection.execute(
        f"create schema if not exists {quoted(names.schema)} authorization {names.owner}"
    )
