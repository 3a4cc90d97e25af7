"""Logging in at a real issuer, by the device flow and by client credentials, and what is kept of it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ..support.local_issuer import LocalIssuer, running_local_issuer
from .logging_in import Person
from .running import Done, environment

CLIENT = ("--client-id", "intent-cli")


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalIssuer]:
    with running_local_issuer(tmp_path_factory.mktemp("issuer")) as running:
        yield running


@pytest.fixture
def person(tmp_path: Path) -> Person:
    return Person.at(tmp_path)


def logged_in(
    person: Person, issuer: LocalIssuer, *arguments: str, user: str = "ann", action: str = "authorize"
) -> Done:
    """Log in by the device flow."""
    with person.logging_in("--issuer", issuer.url, *CLIENT, *arguments) as (waiting, shown):
        issuer.confirm(shown, user, action)
        return person.ends(waiting)


def by_secret(person: Person, issuer: LocalIssuer, *arguments: str) -> Done:
    secret = ("--client-secret-file", str(issuer.secret_file))
    return person.run("login", "--issuer", issuer.url, "--client-id", "robot", *secret, *arguments)


def claims(person: Person, *arguments: str) -> dict[str, object]:
    done = person.run("token", "--claims", *arguments)
    assert done.code == 0, done.err
    found: dict[str, object] = json.loads(done.out)
    return found


def test_somebody_who_confirms_it_in_a_browser_is_logged_in(person: Person, issuer: LocalIssuer) -> None:
    done = logged_in(person, issuer)
    assert (done.code, done.err.splitlines()[-1]) == (
        0,
        f"Logged in at {issuer.url} as ann; kept in {person.login_file()}",
    )
    said = claims(person)
    assert (said["sub"], said["iss"], said["aud"]) == ("ann", issuer.url, "intent")
    assert person.run("token").out.strip() == person.login()["access_token"]
    assert person.login_file().stat().st_mode & 0o777 == 0o600
    assert person.login_file().parent.stat().st_mode & 0o777 == 0o700


def test_a_login_that_is_denied_or_interrupted_keeps_nothing(person: Person, issuer: LocalIssuer) -> None:
    denied = logged_in(person, issuer, action="deny")
    assert (denied.code, denied.err.strip().endswith(f"the login at {issuer.url} was denied")) == (1, True)
    with person.logging_in("--issuer", issuer.url, *CLIENT) as (waiting, _):
        waiting.send_signal(signal.SIGINT)
        assert person.ends(waiting).code == 130
    assert not person.login_file().exists()


def test_a_login_is_renewed_once_for_all_commands(person: Person, issuer: LocalIssuer) -> None:
    logged_in(person, issuer)
    before = person.age()
    command = [sys.executable, "-m", "intent.cli", "token"]
    env = environment(**person.variables)
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env) for _ in range(2)]
    tokens = {each.communicate(timeout=120)[0].strip() for each in both}
    assert tokens == {person.login()["access_token"]}
    assert tokens.isdisjoint({before["access_token"]})
    assert person.login()["refresh_token"] != before["refresh_token"]
    assert claims(person)["sub"] == "ann"


def test_a_login_that_has_ended_says_how_to_begin_again(person: Person, issuer: LocalIssuer) -> None:
    person.run("profile", "set", "staging", "--issuer", issuer.url, "--client-id", "intent-cli")
    logged_in(person, issuer, "--profile", "staging")
    issuer.withdraw(str(person.age("staging")["refresh_token"]))
    for command in (["token"], ["query", "orders.v1.ListOrders", "{}", "--target", "127.0.0.1:1"]):
        done = person.run(*command, "--profile", "staging")
        assert (done.code, done.out) == (1, "")
        assert "has ended" in done.err
        assert "`intent login --profile staging`" in done.err


def test_a_program_logs_itself_in_and_again_by_its_secret(person: Person, issuer: LocalIssuer) -> None:
    done = by_secret(person, issuer)
    assert (done.code, done.err.split(";")[0]) == (0, f"Logged in at {issuer.url} as robot")
    assert not person.login()["refresh_token"]
    assert "pw-of" not in person.login_file().read_text()
    before = person.age()
    assert claims(person)["sub"] == "robot"
    assert person.login()["access_token"] != before["access_token"]


def test_a_program_needs_no_login(person: Person, issuer: LocalIssuer) -> None:
    secret = {"INTENT_CLIENT_ID": "robot", "INTENT_CLIENT_SECRET_FILE": str(issuer.secret_file)}
    done = person.run("token", "--claims", "--issuer", issuer.url, **secret)
    assert json.loads(done.out)["sub"] == "robot"
    assert not person.login_file().exists()
    wrong = person.home / "wrong"
    wrong.write_text("guessed")
    refused = person.run("token", "--issuer", issuer.url, "--client-secret-file", str(wrong), **secret)
    assert (refused.code, "invalid_client" in refused.err) == (1, True)
    missing = person.run("token", "--client-id", "robot", "--client-secret-file", str(wrong))
    assert (missing.code, "--issuer" in missing.err) == (2, True)


def test_somebody_who_logs_out_is_forgotten_here_and_there(person: Person, issuer: LocalIssuer) -> None:
    logged_in(person, issuer)
    kept = person.login()
    assert person.run("logout").err.strip() == f"Logged out at {issuer.url}"
    assert not person.login_file().exists()
    form = {"grant_type": "refresh_token", "refresh_token": kept["refresh_token"], "client_id": "intent-cli"}
    assert issuer.post("/token", form).json()["error"] == "invalid_grant"
    done = person.run("token")
    assert (done.code, "`intent login`" in done.err) == (1, True)
    assert person.run("logout").err.strip() == "Nobody is logged in."


def test_an_issuer_that_is_unavailable_is_named_at_once(person: Person, issuer: LocalIssuer) -> None:
    nobody = "http://127.0.0.1:1"
    done = person.run("login", "--issuer", nobody, *CLIENT)
    assert (done.code, nobody in done.err) == (4, True)
    by_secret(person, issuer)
    login = {**person.age(), "issuer": nobody}
    person.login_file().write_text(json.dumps(login))
    query = person.run("query", "orders.v1.ListOrders", "{}", "--target", "127.0.0.1:1")
    assert (query.code, f"there is no token: {nobody}" in query.err) == (4, True)
    assert person.run("logout").code == 0


@pytest.mark.parametrize("harm", ["link", "open", "broken"])
def test_a_login_that_others_could_read_or_have_put_there_is_refused(
    person: Person, issuer: LocalIssuer, harm: str
) -> None:
    by_secret(person, issuer)
    file = person.login_file()
    if harm == "link":
        file.rename(file.with_name("elsewhere"))
        file.symlink_to("elsewhere")
    elif harm == "open":
        file.chmod(0o644)
    else:
        file.write_text("{}")
    done = person.run("token")
    assert (done.code, str(file) in done.err) == (3, True)
    assert person.run("logout").code == 0
    assert not file.exists()
    assert by_secret(person, issuer).code == 0
    assert person.run("token").code == 0


def test_what_is_missing_for_a_login_is_said(person: Person, issuer: LocalIssuer) -> None:
    for arguments, said in (
        ((), "--issuer URL"),
        (("--issuer", "https://id.example.com"), "--client-id"),
        (("--issuer", "http://id.example.com", *CLIENT), "plain text"),
        (("--issuer", issuer.url, *CLIENT, "--client-credentials"), "--client-secret-file"),
        (("--issuer", issuer.url, *CLIENT, "--client-credentials", "--device"), "exclude"),
    ):
        done = person.run("login", *arguments)
        assert (done.code in (2, 3), said in done.err) == (True, True), done.err
    unknown = person.run("login", "--issuer", issuer.url, "--client-id", "stranger")
    assert (unknown.code, "gives the client stranger no token" in unknown.err) == (1, True)
