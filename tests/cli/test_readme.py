"""The five minutes of the README, command by command, in both modes of identity."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from intent.dev import DevState

from ..support.local_issuer import confirm
from .conftest import Dev, running_dev
from .logging_in import Person
from .running import ROOT, demo, environment, intent, wait_until

REFUSED = "ORDER_NOT_OPEN"


def _commands() -> list[list[str]]:
    """Return the commands of `intent` in the README's tour, in their order."""
    tour = (ROOT / "README.md").read_text().partition("## Five minutes")[2].partition("\n## ")[0]
    blocks = re.findall(r"^```\n(.*?)^```$", tour, re.DOTALL | re.MULTILINE)
    # A command goes on over lines while a quote is open.
    words = [shlex.split(line) for block in blocks for line in re.split(r"\n(?=\w)", block)]
    found = [line[1:] for line in words if line[:1] == ["intent"]]
    assert [command[0] for command in found].count("send") == 3, found
    return [command for command in found if command[0] not in ("dev", "login")]


@pytest.fixture(scope="module")
def with_tokens(dev_folder: Path) -> Iterator[Dev]:
    folder = dev_folder / "tokens"
    folder.mkdir()
    with running_dev(folder, "--identity", "token") as running:
        yield running


def _walk(variables: Mapping[str, str], output: Path) -> None:
    """Run the commands; those that end do as the README says, and those that follow see the events."""
    env = environment(**variables)
    following = []
    codes = {}
    try:
        for command in _commands():
            if "--follow" in command:
                with output.open("wb") as out:
                    whole = [sys.executable, "-m", "intent.cli", *command, "--json"]
                    following.append(subprocess.Popen(whole, stdout=out, env=env))
                continue
            done = intent(*command, env=env)
            codes[command[1]] = done.code
            assert (done.code == 0) != done.err.startswith(REFUSED), done.err
        assert codes == {
            "orders.v1.PlaceOrder": 0,
            "orders.v1.GetOrder": 0,
            "orders.v1.ConfirmOrder": 0,
            "orders.v1.ChangeLine": 1,
        }
        wait_until(lambda: "OrderConfirmed" in output.read_text(), 120, "the events are shown")
    finally:
        for each in following:
            each.kill()
            each.wait()
    types = [json.loads(line)["type"] for line in output.read_text().splitlines() if line.endswith("}")]
    own = [each for each in types if each.startswith("orders.")]
    assert own == ["orders.v1.OrderPlaced", "orders.v1.OrderConfirmed"]


def test_with_the_identity_of_development(dev: Dev, tmp_path: Path) -> None:
    person = Person.at(tmp_path, INTENT_DEV_DATA=str(dev.folder), INTENT_TENANT="readme")
    _walk(person.variables, tmp_path / "events")


def test_with_tokens(with_tokens: Dev, tmp_path: Path) -> None:
    person = Person.at(tmp_path, INTENT_DEV_DATA=str(with_tokens.folder))
    wait_until(lambda: "passwords: " in with_tokens.output.read_text(), 120, "it says how to log in")
    assert with_tokens.state.issuer in with_tokens.output.read_text()
    before = person.run("query", "orders.v1.GetOrder", '{"order_id": "o-1"}')
    assert (before.code, "`intent login`" in before.err) == (1, True)
    with person.logging_in() as (waiting, shown):
        confirm(with_tokens.folder / "issuer", shown, "shop")
        assert person.ends(waiting).code == 0
    _walk(person.variables, tmp_path / "events")
    believed = person.run("query", "orders.v1.GetOrder", '{"order_id": "o-1"}', "--roles", "service")
    assert "x-roles" in believed.err
    denied = person.run("query", "orders.v1.GetOrder", '{"order_id": "o-1"}', "--tenant", "globex")
    assert "TENANT_DENIED" in denied.err


def test_the_demonstration_says_that_it_has_no_tokens(tmp_path: Path) -> None:
    DevState(os.getpid(), "", "", "", issuer="http://127.0.0.1:1").write(tmp_path)
    done = demo(tmp_path)
    assert (done.code, "make dev runs with --identity token" in done.out + done.err) == (3, True), done
