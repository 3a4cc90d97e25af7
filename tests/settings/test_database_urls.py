"""URLs of PostgreSQL: one reader, which takes what asyncpg takes and never shows a password."""

from __future__ import annotations

import traceback

import pytest
from intent.errors import ConfigurationError
from intent.process.schema import passwords_of
from intent.settings.config import load_settings
from intent.settings.database_urls import database_url
from intent.store.migrations import migrate, provision
from intent.store.migrations.epochs import begin_epoch
from intent.store.postgres import PostgresEventStore

SECRET = "S3cr"
WRONG = [
    *(f"postgresql://role:{SECRET}{sign}et@db:5432/intent" for sign in "/?#@[]\n"),
    f"postgresql://role:{SECRET}?a=et@db:5432/intent",
    f"postgresql://role:{SECRET}",
    f"postgresql://role:1234/{SECRET}@db/intent",
    f"role:{SECRET}@db:5432/intent",
    f"mysql://role:{SECRET}@db:5432/intent",
    f"postgresql://role@db:{SECRET}/intent",
    f"postgresql://role@db/intent?port={SECRET}",
    f"postgresql://role@db/intent?{SECRET}",
    f"host=db user=role password={SECRET}",
]
VARIABLES = [f"INTENT_{name}DATABASE_URL" for name in ("", "QUERY_", "OWNER_", "ADMIN_")]


@pytest.mark.parametrize("variable", [*VARIABLES, "INTENT_DATABASE_DIRECT_URL"])
@pytest.mark.parametrize("url", WRONG)
def test_a_wrong_url_is_named_by_its_variable_and_not_shown(
    monkeypatch: pytest.MonkeyPatch, variable: str, url: str
) -> None:
    monkeypatch.setenv(variable, url)
    with pytest.raises(ConfigurationError, match=variable) as caught:
        load_settings()
    assert "percent-encoded" in str(caught.value)
    assert SECRET not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("url", WRONG)
async def test_nothing_that_connects_shows_a_wrong_url(url: str) -> None:
    for call in (
        PostgresEventStore.open(url, "orders"),
        PostgresEventStore.open("postgresql://role@127.0.0.1:1/intent", "orders", direct_dsn=url),
        migrate(url, "orders"),
        provision(url, "orders"),
        begin_epoch("orders", url),
    ):
        with pytest.raises(ConfigurationError) as caught:
            await call
        assert SECRET not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    ("url", "password"),
    [
        ("postgresql://role:S3cr%2Fet%40%23%3F%25@db:5432/intent", "S3cr/et@#?%"),
        ("postgres://role:a:b!$&'()*+,;=~@db/intent", "a:b!$&'()*+,;=~"),
        ("postgresql://role:p@[::1]:5432/intent?sslmode=verify-full", "p"),
        ("postgresql://role:p@one:5432,two:5433/intent?target_session_attrs=read-write", "p"),
        ("postgresql:///intent?host=/run/postgresql&user=role&password=p%2Fq", "p/q"),
        ("postgresql://role@db/intent", None),
    ],
)
def test_the_password_is_the_one_that_asyncpg_sends(url: str, password: str | None) -> None:
    assert database_url(url).password == password
    assert passwords_of(load_settings(owner_database_url=url, database_url=url)).owner == password
    assert "S3cr" not in repr(database_url(url))


@pytest.mark.parametrize("login", ["user=role&password=S3cr", "p%61ssword=S3cr", "sslpassword=S3cr"])
def test_a_login_among_the_parameters_is_neither_shown_nor_part_of_the_place(login: str) -> None:
    url = database_url(f"postgresql://db/intent?sslmode=require&{login}")
    assert "S3cr" not in repr(url)
    assert url.place == database_url("postgresql://role@db/intent?sslmode=require").place
