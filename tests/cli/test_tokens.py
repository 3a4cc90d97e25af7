"""The token of a command: from an option, a variable, a file or another command."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
import pytest_asyncio

from tests.client.test_renewal import believing
from tests.service.support import Served, served
from tests.service.test_expiry import Clock
from tests.support.issuer import Issuer, running_issuer

from .running import Done, environment, intent, process

_THREADS = ThreadPoolExecutor(3)
QUERY = ("query", "orders.v1.ListOrders", "{}")


@pytest_asyncio.fixture
async def issuer() -> AsyncIterator[Issuer]:
    async with running_issuer() as running:
        yield running


@pytest_asyncio.fixture
async def orders(issuer: Issuer) -> AsyncIterator[Served]:
    async with served(identities=believing(issuer, Clock())) as serving:
        yield serving


async def asked(orders: Served, *arguments: str, **variables: str) -> Done:
    """Ask the context, whose server runs in this process, by a process of its own."""
    run = partial(process, *QUERY, "--target", orders.server.target, *arguments, env=environment(**variables))
    # Not the threads of the event loop, which the server needs as well.
    return await asyncio.get_running_loop().run_in_executor(_THREADS, run)


async def test_a_token_comes_from_where_it_is_said_to_be(
    orders: Served, issuer: Issuer, tmp_path: Path
) -> None:
    token = issuer.token(tenants="acme", roles="customer service")
    file = tmp_path / "token"
    file.write_text(f"{token}\n")
    printing = f"{sys.executable} -c 'print(open(\"{file}\").read())'"
    answers = await asyncio.gather(
        asked(orders, "--token", token),
        asked(orders, INTENT_TOKEN=f"Bearer {token}"),
        asked(orders, "--token-file", str(file)),
        asked(orders, INTENT_TOKEN_FILE=str(file)),
        asked(orders, "--token-command", printing),
        asked(orders, INTENT_TOKEN_COMMAND=printing),
    )
    assert [(done.code, done.err) for done in answers] == [(0, "")] * 6
    none = await asked(orders, "--tenant", "acme")
    assert "TOKEN_MISSING" in none.err


async def test_a_command_that_fails_says_why_at_once(orders: Served) -> None:
    failing = f"{sys.executable} -c 'import sys; sys.exit(\"log in first\")'"
    done = await asked(orders, "--token-command", failing)
    assert done.code != 0
    assert "log in first" in done.err


def test_a_token_in_plain_text_to_another_machine_is_refused(tmp_path: Path) -> None:
    done = intent(*QUERY, "--target", "orders.example:7400", "--token", "abc")
    assert done.code == 2
    assert "--tls" in done.err
    assert "--token-in-plain-text" in done.err


def test_two_tokens_are_one_too_many(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("abc")
    variables = environment(INTENT_TOKEN="abc")
    done = intent(*QUERY, "--target", "127.0.0.1:1", "--token-file", str(file), env=variables)
    assert done.code == 2
    for name in ("--token and --token-file", "INTENT_TOKEN_FILE"):
        assert name in done.err


@pytest.mark.parametrize("variable", [True, False], ids=["variable", "option"])
def test_a_file_that_is_missing_is_named(tmp_path: Path, *, variable: bool) -> None:
    missing = str(tmp_path / "missing")
    where = () if variable else ("--token-file", missing)
    variables = environment(INTENT_TOKEN_FILE=missing) if variable else environment()
    done = intent(*QUERY, "--target", "127.0.0.1:1", *where, env=variables)
    assert done.code == 2
    assert "missing" in done.err


def test_help_says_that_process_lists_show_a_token() -> None:
    assert "Process lists" in intent("query", "--help").out
