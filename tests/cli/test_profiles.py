"""Named profiles of the command line: what they say, what wins over them, and what they never hold."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import pytest_asyncio

from ..client.test_renewal import believing
from ..service.support import Served, served
from ..service.test_expiry import Clock
from ..support.issuer import Issuer, running_issuer
from .logging_in import Person
from .running import Done, environment, intent

_THREADS = ThreadPoolExecutor(3)
QUERY = ("query", "orders.v1.ListOrders", "{}")
NOWHERE = "127.0.0.1:1"


@pytest.fixture
def person(tmp_path: Path) -> Person:
    return Person.at(tmp_path)


@pytest_asyncio.fixture
async def issuer() -> AsyncIterator[Issuer]:
    async with running_issuer() as running:
        yield running


@pytest_asyncio.fixture
async def orders(issuer: Issuer) -> AsyncIterator[Served]:
    async with served(identities=believing(issuer, Clock())) as serving:
        yield serving


async def beside(person: Person, *arguments: str, **variables: str) -> Done:
    """Run a command as a process of its own beside the servers, which run in this process."""

    def run() -> Done:
        return person.process(*arguments, **variables)

    return await asyncio.get_running_loop().run_in_executor(_THREADS, run)


def test_profiles_are_made_changed_shown_and_deleted(person: Person) -> None:
    assert person.run("profile", "list").out.strip() == "* default"
    person.run("profile", "set", "staging", "--target", "orders:443", "--tls", "--tenant", "acme")
    person.run("profile", "set", "staging", "--tenant", "globex", "--roles", 'a "b" \\ \t c', "--actor", "x")
    person.run("profile", "set", "staging", "--actor", "")
    person.run("profile", "use", "staging")
    assert person.run("profile", "list").out.splitlines() == [
        "  default",
        "* staging              orders:443",
    ]
    shown = json.loads(person.run("profile", "show", "--json").out)
    assert {name: each["value"] for name, each in shown["values"].items()} == {
        "target": "orders:443",
        "tls": True,
        "tenant": "globex",
        "roles": 'a "b" \\ \t c',
    }
    assert person.profiles.stat().st_mode & 0o777 == 0o600
    assert person.run("profile", "delete", "staging").code == 0
    assert person.run("profile", "list").out.strip() == "* default"


def test_a_profile_that_is_not_there_is_named_with_those_that_are(person: Person) -> None:
    person.run("profile", "set", "staging", "--target", NOWHERE)
    for arguments in (
        (*QUERY, "--profile", "stagging"),
        ("profile", "use", "stagging"),
        ("profile", "show", "stagging"),
        ("profile", "delete", "stagging"),
        ("login", "--profile", "stagging"),
    ):
        done = person.run(*arguments)
        assert (done.code, "'stagging'; there are: default, staging" in done.err) == (2, True), done.err
    by_variable = person.run(*QUERY, INTENT_PROFILE="other")
    assert (by_variable.code, "'other'" in by_variable.err) == (2, True)
    assert person.run("profile", "set", "a b", "--target", NOWHERE).code == 2
    assert person.run("profile", "set", "empty").code == 2


def test_what_is_in_use_is_shown_with_where_it_comes_from(person: Person) -> None:
    person.run("profile", "set", "default", "--target", "orders:443", "--tenant", "acme")
    variables = {"INTENT_TENANT": "globex", "INTENT_TOKEN": "very-secret"}
    shown = person.run("profile", "show", **variables).out
    lines = {line.split()[0]: line.split(maxsplit=1)[1] for line in shown.splitlines()}
    assert lines["target"] == "orders:443"
    assert lines["tenant"] == "globex   (INTENT_TENANT)"
    assert lines["login"] == "none"
    assert "INTENT_TOKEN" in lines["token"]
    assert "very-secret" not in shown


async def test_options_win_over_variables_and_variables_over_the_profile(
    person: Person, orders: Served, issuer: Issuer
) -> None:
    token = person.home / "token"
    token.write_text(issuer.token(tenants=["acme", "globex"], roles="customer service"))
    own = ("--target", orders.server.target, "--token-file", str(token), "--tenant", "elsewhere")
    person.run("profile", "set", "here", *own)
    answers = await asyncio.gather(
        beside(person, *QUERY, "--profile", "here"),
        beside(person, *QUERY, INTENT_PROFILE="here", INTENT_TENANT="globex"),
        beside(person, *QUERY, "--tenant", "acme", INTENT_PROFILE="here", INTENT_TENANT="nowhere"),
        beside(person, *QUERY, "--tenant", "acme", "--token", "wrong", INTENT_PROFILE="here"),
    )
    assert [done.code for done in answers] == [1, 0, 0, 1]
    assert "TENANT_DENIED: user:ann may not act for tenant elsewhere" in answers[0].err
    assert "TOKEN_INVALID" in answers[3].err


async def test_a_profile_sends_its_token_to_its_own_address_only(
    person: Person, orders: Served, issuer: Issuer
) -> None:
    token = person.home / "token"
    token.write_text(issuer.token(tenants="acme", roles="customer service"))
    person.run(
        "profile", "set", "default", "--target", NOWHERE, "--token-file", str(token), "--tenant", "acme"
    )
    other = ("--target", orders.server.target)
    kept, asked = await asyncio.gather(
        beside(person, *QUERY, *other), beside(person, *QUERY, *other, "--profile", "default")
    )
    assert (kept.code, "TOKEN_MISSING" in kept.err) == (1, True)
    assert asked.code == 0, asked.err


async def test_each_profile_has_a_login_of_its_own(person: Person, orders: Served, issuer: Issuer) -> None:
    issuer.clients = {"one": "secret", "two": "secret"}
    issuer.claims = {"tenants": "acme", "roles": "customer service"}
    secret = person.home / "secret"
    secret.write_text("secret")
    shared = ("--issuer", issuer.url, "--client-secret-file", str(secret), "--target", orders.server.target)
    for name in ("one", "two"):
        person.run("profile", "set", name, "--client-id", name, *shared)
        assert (await beside(person, "login", "--profile", name)).code == 0
    assert issuer.granted == 2
    for name in ("one", "two"):
        said = json.loads((await beside(person, "token", "--claims", "--profile", name)).out)
        assert said["sub"] == name
        answer = await beside(person, *QUERY, "--profile", name)
        assert answer.code == 0, answer.err
    assert issuer.granted == 2
    person.run("profile", "delete", "one")
    assert not person.login_file("one").exists()
    assert person.login("two")["client_id"] == "two"


async def test_a_program_calls_with_its_own_token(person: Person, orders: Served, issuer: Issuer) -> None:
    issuer.clients = {"robot": "secret"}
    issuer.claims = {"tenants": "acme", "roles": "customer service"}
    secret = person.home / "secret"
    secret.write_text("secret\n")
    own = ("--issuer", issuer.url, "--client-id", "robot", "--client-secret-file", str(secret))
    variables = {
        "INTENT_ISSUER": issuer.url,
        "INTENT_CLIENT_ID": "robot",
        "INTENT_CLIENT_SECRET_FILE": str(secret),
        "INTENT_TARGET": orders.server.target,
    }
    answers = await asyncio.gather(
        beside(person, *QUERY, *own, "--target", orders.server.target), beside(person, *QUERY, **variables)
    )
    assert [(done.code, done.err) for done in answers] == [(0, "")] * 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("current = 3", "current must be a string"),
        ("[profiles.a]\ntoken = 'x'", "a.token is unknown"),
        ("[profiles.a]\ntls = 'yes'", "a.tls must be true or false"),
        ("[profiles.a]\ntarget = 7", "a.target must be a string"),
        ("profiles = 3", "[profiles.staging]"),
        ("[profiles.'../a']", "'../a' is no name for a profile"),
        ("[profiles", "is no TOML"),
    ],
)
def test_a_file_that_is_wrong_says_where(person: Person, text: str, said: str) -> None:
    person.profiles.parent.mkdir(parents=True)
    person.profiles.write_text(text)
    person.profiles.chmod(0o600)
    done = person.run("profile", "list")
    assert (done.code, said in done.err, str(person.profiles) in done.err) == (3, True, True), done.err


def test_a_file_that_another_user_may_write_is_refused(person: Person) -> None:
    person.run("profile", "set", "default", "--token-command", "print-token")
    person.profiles.chmod(0o666)
    done = person.run("profile", "list")
    assert (done.code, "another user may write" in done.err) == (3, True)


def test_a_shell_completes_the_names_of_profiles(person: Person) -> None:
    person.run("profile", "set", "staging", "--target", NOWHERE)
    variables = {
        "_INTENT_COMPLETE": "complete_bash",
        "COMP_WORDS": "intent query --profile s",
        "COMP_CWORD": "3",
    }
    code = "import sys; sys.argv = ['intent']; from intent.cli import run; run()"
    env = environment(**person.variables, **variables)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, check=False)
    assert done.stdout.split() == ["staging"], done.stderr


def test_help_teaches() -> None:
    shown = intent("profile", "--help").out
    for word in ("intent profile set staging", "Options win over variables", "INTENT_PROFILE", "no secrets"):
        assert word in shown
    assert "--token " not in intent("profile", "set", "--help").out
