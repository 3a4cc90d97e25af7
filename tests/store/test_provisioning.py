"""Provisioning: what it keeps apart, and what it lets others see."""

from __future__ import annotations

from urllib.parse import quote

import asyncpg
import pytest
from intent.dev.services import Postgres
from intent.errors import ConfigurationError
from intent.process.schema import passwords_of
from intent.settings.config import load_settings
from intent.store.migrations import migrate
from intent.store.migrations.epochs import begin_epoch
from intent.store.migrations.provisioning import Passwords, provision
from intent.store.migrations.verifiers import fits, verifier_of
from intent.store.postgres import PostgresEventStore
from intent.store.roles import RoleNames

from ..support.databases import Database, create_database
from .transactions import connected

SECRET = "TOPSECRET"


async def log_in(postgres: Postgres, database: Database, password: str) -> None:
    """Log in as the service role."""
    name = database.admin.rsplit("/", 1)[1]
    connection = await asyncpg.connect(
        postgres.dsn_for(RoleNames.of(database.context).service, "", name), password=password
    )
    await connection.close()


async def test_a_second_database_of_a_server_leaves_the_roles_of_the_first_alone(
    postgres: Postgres, bare: Database
) -> None:
    staging = Database.of(postgres, await create_database(postgres), bare.context)
    await provision(bare.admin, bare.context, Passwords("o", "production", "q"))

    with pytest.raises(ConfigurationError, match=bare.admin.rsplit("/", 1)[1]):
        await provision(staging.admin, bare.context, Passwords("o", "staging", "q"))
    await log_in(postgres, bare, "production")
    with pytest.raises(asyncpg.InvalidPasswordError):
        await log_in(postgres, bare, "staging")

    await provision(staging.admin, bare.context, Passwords("o", "staging", "q"), share_roles=True)
    await log_in(postgres, staging, "production")


async def test_a_password_is_changed_where_the_roles_are_of_one_database(
    postgres: Postgres, bare: Database
) -> None:
    for password in ("first", "second"):
        await provision(bare.admin, bare.context, Passwords("o", password, "q"))
        await log_in(postgres, bare, password)


async def test_no_password_is_in_what_postgresql_logs(postgres: Postgres, bare: Database) -> None:
    admin = f"{bare.admin}?log_statement=all"
    await provision(admin, bare.context, Passwords(*[SECRET] * 3))

    logged = postgres.log.read_text(errors="replace")
    assert f"alter role {bare.context}_service password" in logged
    assert SECRET not in logged
    await log_in(postgres, bare, SECRET)


async def test_a_password_that_is_set_already_is_not_set_again(bare: Database) -> None:
    async def kept() -> list[str]:
        async with connected(bare.admin, bare) as admin:
            found = await admin.fetch("select rolpassword from pg_authid where rolname like $1", like)
        return sorted(row[0] for row in found if row[0])

    like = f"{bare.context}%"
    await provision(bare.admin, bare.context, Passwords("o", "s", "q"))
    before = await kept()
    await provision(bare.admin, bare.context, Passwords("o", "s", "q"))
    assert await kept() == before
    assert len(before) == 3


@pytest.mark.parametrize("password", ["pässwörd", "a\u00a0b\u00adc", "ﬁﬁ", "日本", "שלום", "aש", "q'\"\\$%"])
async def test_every_password_that_clients_send_fits_its_verifier(
    postgres: Postgres, bare: Database, password: str
) -> None:
    await provision(bare.admin, bare.context, Passwords(service=password))
    await log_in(postgres, bare, password)
    assert fits(password, verifier_of(password))
    assert not fits(password + "x", verifier_of(password))


async def test_an_encoded_password_of_any_characters_logs_in_everywhere(
    postgres: Postgres, bare: Database
) -> None:
    password = "S3cr/et@#?%[]: é"
    name = bare.admin.rsplit("/", 1)[1]
    names = RoleNames.of(bare.context)
    urls = {
        role: postgres.dsn_for(role, quote(password, safe=""), name) for role in (names.owner, names.service)
    }
    settings = load_settings(owner_database_url=urls[names.owner], database_url=urls[names.service])

    await provision(bare.admin, bare.context, passwords_of(settings))
    await migrate(urls[names.owner], bare.context)
    await begin_epoch(bare.context, urls[names.owner])
    store = await PostgresEventStore.open(urls[names.service], bare.context)
    await store.close()
