"""Databases for tests: one server per run, one fresh database per test."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import asyncpg
from intent.dev.services import Postgres
from intent.store.migrations import migrate
from intent.store.migrations.provisioning import Passwords, provision
from intent.store.roles import RoleNames

PASSWORD = "secret"


@dataclass(frozen=True, slots=True)
class Database:
    """A database with the schema of one context, migrated and empty.

    Attributes:
        context: The context; also the schema's name.
        admin: URL for the administrator.
        owner: URL for the schema's owner.
        service: URL for the service role.
        query: URL for the query role.
    """

    context: str
    admin: str
    owner: str
    service: str
    query: str

    @classmethod
    def of(cls, postgres: Postgres, database: str, context: str) -> Database:
        """Return the URLs for a context in a database of the server."""
        names = RoleNames.of(context)
        roles = (names.owner, names.service, names.query)
        return cls(
            context,
            postgres.dsn_for("postgres", postgres.password, database),
            *(postgres.dsn_for(role, PASSWORD, database) for role in roles),
        )


async def prepare(database: Database) -> None:
    """Provision and migrate; the tests of a run share one server and its roles."""
    passwords = Passwords(PASSWORD, PASSWORD, PASSWORD)
    await provision(database.admin, database.context, passwords, share_roles=True)
    await migrate(database.owner, database.context)


async def create_database(postgres: Postgres, template: str | None = None) -> str:
    """Create a database, as a copy of the template if any, and return its name."""
    name = f"test_{uuid4().hex}"
    copied = f" template {template} strategy file_copy" if template else ""
    await administer(postgres.dsn, f"create database {name}{copied}")
    return name


async def drop_database(postgres: Postgres, name: str) -> None:
    """Drop a database, whoever is connected."""
    await administer(postgres.dsn, f"drop database if exists {name} with (force)")


async def administer(dsn: str, statement: str) -> None:
    """Run one statement."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


def in_database(dsn: str, name: str) -> str:
    """Return a URL with another database in it."""
    return urlunsplit(urlsplit(dsn)._replace(path=f"/{name}"))
