"""The tour of the README: `intent dev`, then commands, queries and events beside it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

from intent.dev import DevState

from .conftest import Collector, Dev, running_dev
from .running import ORDER, environment, lives, process, wait_until

ROOT = Path(__file__).parents[2]
ORDERS = ("--context", "orders")


def _order(order_id: str) -> str:
    return json.dumps({**ORDER, "order_id": order_id})


def _place(dev: Dev, order_id: str, *options: str) -> dict[str, Any]:
    done = dev.run("send", "orders.v1.PlaceOrder", _order(order_id), "--json", *options)
    assert done.code == 0, done.err
    found: dict[str, Any] = json.loads(done.out)
    return found


def test_a_command_is_sent_and_answered_from_the_read_model(dev: Dev, tmp_path: Path) -> None:
    file = tmp_path / "order.json"
    file.write_text(_order("o-tour"))
    sent = dev.run("send", "orders.v1.PlaceOrder", "-f", str(file))
    assert sent.code == 0, sent.err
    assert "Order/o-tour is at version 1, position " in sent.out
    assert "orders.v1.OrderPlaced" in sent.out
    found = dev.run("query", "GetOrder", '{"order_id": "o-tour"}')
    assert json.loads(found.out)["total"] == {"minor_units": "700", "currency": "EUR"}


def test_sent_again_with_its_id_a_command_has_no_second_effect(dev: Dev) -> None:
    own = str(uuid4())
    first = _place(dev, "o-again", "--id", own)
    done = dev.run("send", "PlaceOrder", "--id", own, stdin=_order("o-again"))
    assert "(an earlier call had the effect)" in done.out
    assert f"command {first['command_id']}" in done.out


def test_a_refusal_says_its_reason_and_exits_with_1(dev: Dev) -> None:
    _place(dev, "o-twice")
    done = dev.run("send", "PlaceOrder", _order("o-twice"))
    assert done.code == 1
    assert done.err.startswith("ORDER_ALREADY_PLACED: ")
    conflict = dev.run("send", "ConfirmOrder", '{"order_id": "o-twice"}', "--expected-version", "7")
    assert conflict.code == 1
    assert "VERSION_CONFLICT" in conflict.err
    denied = dev.run("send", "ConfirmOrder", '{"order_id": "o-twice"}', "--roles", "customer")
    assert "one of these roles is needed: service" in denied.err
    cancel = ("send", "CancelOrder", '{"order_id": "o-twice", "reason": "r"}')
    other = dev.run(*cancel, "--roles", "customer", "--actor", "user:eve")
    assert (other.code, other.err.partition(":")[0]) == (1, "NOT_THE_OWNER")
    missing = dev.run("query", "GetOrder", '{"order_id": "none"}')
    assert (missing.code, missing.out) == (1, "")


def test_a_submitted_command_is_accepted(dev: Dev) -> None:
    done = dev.run("send", "PlaceOrder", _order("o-submitted"), "--submit")
    assert done.out.startswith("accepted as command ")


def test_events_are_read_decoded_and_filtered(dev: Dev) -> None:
    _place(dev, "o-read", "--tenant", "reader", "--correlation", "checkout-1")
    dev.run("send", "ConfirmOrder", '{"order_id": "o-read"}', "--tenant", "reader")
    _place(dev, "o-other", "--tenant", "reader")
    lines = dev.run("events", *ORDERS, "--tenant", "reader").out.splitlines()
    assert len(lines) == 3
    assert "Order/o-read v1  OrderPlaced" in lines[0]
    assert '"customer_id": "ann"' in lines[0]
    for filter_, count in (
        (("--stream", "Order/o-read"), 2),
        (("--type", "OrderPlaced"), 2),
        (("--type", "OrderPlaced", "--type", "OrderConfirmed"), 3),
        (("--correlation", "checkout-1"), 1),
        (("--limit", "1"), 1),
    ):
        read = dev.run("events", *ORDERS, "--tenant", "reader", *filter_)
        assert len(read.out.splitlines()) == count, filter_
    event = json.loads(dev.run("events", *ORDERS, "-t", "reader", "--json", "-n", "1").out)
    assert event["data"]["lines"][0]["sku"] == "tea"
    assert event["correlation_id"] == "checkout-1"
    after = dev.run(
        "events", *ORDERS, "-t", "reader", "--after", str(event["position"]), "--json"
    ).out.splitlines()
    assert [json.loads(line)["type"] for line in after] == [
        "orders.v1.OrderConfirmed",
        "orders.v1.OrderPlaced",
    ]


def test_another_tenant_sees_nothing(dev: Dev) -> None:
    _place(dev, "o-private", "--tenant", "one")
    assert dev.run("events", *ORDERS, "--tenant", "two").out == ""
    assert dev.run("query", "GetOrder", '{"order_id": "o-private"}', "--tenant", "two").code == 1


def test_events_are_followed_as_they_happen(dev: Dev) -> None:
    following = subprocess.Popen(
        [sys.executable, "-u", "-m", "intent.cli", "events", *ORDERS, "--follow", "-t", "live", "-n", "2"],
        stdout=subprocess.PIPE,
        text=True,
        env=environment(INTENT_DEV_DATA=str(dev.folder)),
    )
    assert following.stdout is not None
    _place(dev, "o-live-1", "--tenant", "live")
    assert "o-live-1" in following.stdout.readline()
    _place(dev, "o-live-2", "--tenant", "live")
    assert "o-live-2" in following.stdout.readline()
    assert following.wait(60) == 0


def test_projections_are_shown_rebuilt_and_not_skipped_without_need(dev: Dev) -> None:
    placed = _place(dev, "o-rebuild")
    shown = dev.run("projections", "status", *ORDERS)
    assert shown.code == 0, shown.err
    name = next(line.split()[1] for line in shown.out.splitlines() if "OrderV" in line)
    rebuilt = dev.run("projections", "rebuild", *ORDERS, name)
    assert f"{name} is rebuilt up to position" in rebuilt.out, rebuilt.err
    assert (
        json.loads(dev.run("query", "GetOrder", '{"order_id": "o-rebuild"}').out)["order_id"] == "o-rebuild"
    )
    skipped = dev.run("projections", "skip", *ORDERS, name, str(placed["position"]), "--reason", "no need")
    assert skipped.code == 1
    assert dev.run("projections", "rebuild", *ORDERS, "Nothing").code == 1
    assert dev.run("projections", "status", *ORDERS, "--roles", "customer").code == 1


def test_metrics_of_calls_batches_projections_and_temporal_are_in_one_place(dev: Dev) -> None:
    _place(dev, "o-metrics")
    with urllib.request.urlopen(dev.state.contexts["orders"].metrics, timeout=30) as answer:
        text = answer.read().decode()
    for metric in (
        'intent_call_seconds_count{code="OK",method="orders.v1.Orders/PlaceOrder"}',
        "intent_batch_commands_bucket",
        "intent_lane_depth",
        "intent_projection_lag{",
        "temporal_",
    ):
        assert metric in text, metric


def test_one_command_is_one_trace_from_the_call_to_sql(dev: Dev, collector: Collector) -> None:
    placed = _place(dev, "o-traced")

    def call() -> Any:
        return next(
            (
                span
                for span in collector.spans
                for attribute in span.attributes
                if attribute.key == "intent.command_id"
                and attribute.value.string_value == placed["command_id"]
            ),
            None,
        )

    wait_until(call, 30, "the call's span arrives")
    trace = call().trace_id

    def names() -> set[str]:
        return {span.name for span in list(collector.spans) if span.trace_id == trace}

    expected = {
        "orders.v1.Orders/PlaceOrder",
        "StartWorkflow ProcessCommands",
        "Activity handle_commands",
        "append",
    }
    wait_until(lambda: expected <= names(), 30, f"spans {expected} arrive")

    def roots() -> list[str]:
        spans = [span for span in list(collector.spans) if span.trace_id == trace]
        ids = {span.span_id for span in spans}
        return [span.name for span in spans if span.parent_span_id not in ids]

    # Spans of several processes arrive in any order.
    wait_until(lambda: roots() == ["orders.v1.Orders/PlaceOrder"], 30, "every span has its parent")


def test_a_second_dev_on_the_same_data_is_refused(dev: Dev) -> None:
    done = process("dev", "--port-base", "0", "--data", str(dev.folder))
    assert done.code == 3
    assert f"intent dev already runs from {dev.folder} (pid {dev.process.pid})" in done.err


def test_a_context_that_dies_is_started_again(dev: Dev) -> None:
    serving = {
        pid: words
        for pid in dev.children()
        if "serve" in (words := Path(f"/proc/{pid}/cmdline").read_text().split("\0"))
    }
    victim = next(pid for pid, words in serving.items() if "orders" in words)
    os.kill(victim, signal.SIGKILL)
    placed = _place(dev, "o-after-kill")
    assert placed["version"] == "1"
    assert not lives(victim)
    assert "orders ended by signal 9; restarting" in dev.output.read_text()


def test_data_survives_ctrl_c_and_a_kill_leaves_nothing_behind(dev_folder: Path) -> None:
    folder = dev_folder / "second"
    folder.mkdir()
    with running_dev(folder) as first:
        _place(first, "o-kept")
    assert first.process.returncode == 0
    assert "Everything has stopped." in first.output.read_text()
    assert first.run("query", "GetOrder", '{"order_id": "o-kept"}').code == 2
    with running_dev(folder) as second:
        assert (
            json.loads(second.run("query", "GetOrder", '{"order_id": "o-kept"}').out)["order_id"] == "o-kept"
        )
        children = second.children()
        assert len(children) == 2 + len(second.state.contexts)
        second.process.kill()
        second.process.wait()
        wait_until(lambda: not any(map(lives, children)), 60, "everything of a killed dev ends")


def test_a_run_of_tests_that_is_killed_leaves_no_stack_behind(dev_folder: Path) -> None:
    folder = dev_folder / "third"
    folder.mkdir()
    starting = (
        "import pathlib, sys, time; from tests.cli.conftest import running_dev\n"
        "with running_dev(pathlib.Path(sys.argv[1])): time.sleep(600)"
    )
    run = subprocess.Popen([sys.executable, "-c", starting, str(folder)], cwd=ROOT, env=environment())
    wait_until(lambda: DevState.read(folder), 300, "intent dev runs")
    state = DevState.read(folder)
    assert state is not None
    run.kill()
    run.wait()
    wait_until(lambda: not lives(state.pid), 90, "it ends")


def test_no_other_user_reads_what_is_kept_or_knows_a_password(dev: Dev) -> None:
    state = DevState.read(dev.folder)
    assert state is not None
    assert urlsplit(state.postgres).password not in {"", "intent", None}
    files = [path for folder in (dev.folder, dev.folder / "logs") for path in folder.iterdir()]
    assert dev.folder / "temporal.db" in files
    assert dev.folder.stat().st_mode & 0o067 == 0
    assert [path.name for path in files if path.is_file() and path.stat().st_mode & 0o077] == []
