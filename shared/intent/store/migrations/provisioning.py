"""Provisioning a database for a context: its roles and its schema."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

import asyncpg

from intent.errors import ConfigurationError
from intent.store.roles import RoleNames, quoted

__all__ = ["Passwords", "provision"]

_log: Final = logging.getLogger(__name__)
_ATTEMPTS: Final = 10
_RACES: Final = (
    asyncpg.UniqueViolationError,
    asyncpg.DuplicateObjectError,
    asyncpg.InternalServerError,
    asyncpg.DeadlockDetectedError,
)
"""What PostgreSQL reports when two sessions create or change the same role, which it does not lock."""


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


async def provision(admin_dsn: str, context: str, passwords: Passwords | None = None) -> None:
    """Create a context's roles and schema; what exists already is kept.

    Args:
        admin_dsn: The address, with a role that may create roles and schemas.
        context: The context.
        passwords: Passwords to set.

    Raises:
        ConfigurationError: The server does not answer, or the role lacks a right.
    """
    names, secrets = RoleNames.of(context), passwords or Passwords()
    try:
        connection = await asyncpg.connect(admin_dsn, statement_cache_size=0)
    except (OSError, asyncpg.PostgresError, ValueError) as error:
        raise ConfigurationError(f"PostgreSQL does not let the administrator in: {error}") from error
    try:
        await _repeated(lambda: _provision(connection, names, secrets))
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


async def _provision(connection: Any, names: RoleNames, secrets: Passwords) -> None:
    async with connection.transaction():
        await connection.execute("select pg_advisory_xact_lock(hashtext('intent provision'))")
        await _create_roles(connection, names, secrets)
        await _create_schema(connection, names)


async def _create_roles(connection: Any, names: RoleNames, secrets: Passwords) -> None:
    for role, login in (
        (names.owner, True),
        (names.service, True),
        (names.query, True),
        (names.log, False),
        (names.projector, False),
    ):
        if not await connection.fetchval("select exists (select from pg_roles where rolname = $1)", role):
            await connection.execute(f"create role {role} {'login' if login else 'nologin'}")
    for role, password in (
        (names.owner, secrets.owner),
        (names.service, secrets.service),
        (names.query, secrets.query),
    ):
        if password is not None:
            quoted = await connection.fetchval("select quote_literal($1::text)", password)
            await connection.execute(f"alter role {role} password {quoted}")
    # Without inheritance: a member must assume the role explicitly, and sees nothing through it before.
    for role, member in (
        (names.log, names.owner),
        (names.projector, names.owner),
        (names.projector, names.service),
    ):
        await connection.execute(f"grant {role} to {member} with inherit false, set true")


async def _create_schema(connection: Any, names: RoleNames) -> None:
    await connection.execute(f"grant {names.owner} to current_user")
    await connection.execute(
        f"create schema if not exists {quoted(names.schema)} authorization {names.owner}"
    )
    database = await connection.fetchval("select quote_ident(current_database())")
    for role in (names.owner, names.service, names.query):
        await connection.execute(f"grant connect on database {database} to {role}")
