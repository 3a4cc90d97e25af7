"""Commands that ask every context that runs: trace, events, projections."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import socket
from typing import Any
from uuid import uuid4

from intent.client import IntentClient
from intent_contracts.intent.v1 import CommandResult
from intent_contracts.inventory.v1 import ReceiveStock, StockLine

from .conftest import Dev
from .running import ORDER, intent, wait_until

TENANT = "everywhere"


def _place(dev: Dev, order_id: str, correlation: str, *options: str) -> dict[str, Any]:
    order = json.dumps({**ORDER, "order_id": order_id})
    done = dev.run(
        *("send", "PlaceOrder", order, "--correlation", correlation, "-t", TENANT, "--json", *options)
    )
    assert done.code == 0, done.err
    found: dict[str, Any] = json.loads(done.out)
    return found


def _receive(dev: Dev, warehouse: str, correlation: str, cause: str = "") -> CommandResult:
    async def send() -> CommandResult:
        target = dev.state.contexts["inventory"].target
        async with IntentClient.connect(target, tenant=TENANT) as client:
            lines = [StockLine(sku="tea", quantity=5)]
            command = ReceiveStock(warehouse_id=warehouse, lines=lines)
            return await client.execute(command, correlation_id=correlation, causation_id=cause)

    return asyncio.run(send())


def _correlated(dev: Dev) -> tuple[str, str]:
    """Send correlated commands to two contexts; return the correlation id and the first command's id."""
    correlation = f"checkout-{uuid4()}"
    placed = _place(dev, f"o-{correlation}", correlation)
    _receive(dev, f"w-{correlation}", correlation, placed["events"][0]["event_id"])
    return correlation, placed["command_id"]


def test_a_correlation_is_traced_over_its_contexts(dev: Dev) -> None:
    correlation, command = _correlated(dev)
    trace = ("trace", correlation, "-t", TENANT, "--fields")
    wait_until(lambda: "OrderNoted" in dev.run(*trace).out, 60, "shipping has noted the order")
    done = dev.run(*trace)
    assert done.code == 0, done.err
    heading, first, placed, *rest = done.out.splitlines()
    # There are more where further contexts listen to orders.
    counted = re.match(rf"{correlation} of tenant {TENANT}: (\d+) events in (\d+) contexts, began ", heading)
    assert counted
    assert min(map(int, counted.groups())) >= 3
    assert f"+0 ms orders command {command} by dev" in first
    assert f"+0 ms OrderPlaced orders Order/o-{correlation} v1" in placed
    assert '"customer_id": "ann"' in placed
    # What followed from the order may have arrived in any order.
    pairs = dict(itertools.pairwise(rest))
    second = next(line for line in rest if " inventory command " in line)
    third = next(line for line in rest if " shipping command " in line)
    received, noted = pairs[second], pairs[third]
    assert f" StockReceived inventory Warehouse/w-{correlation} v1" in received
    assert "by consumer:shipping.known-orders" in third
    assert f" OrderNoted shipping OrderNote/o-{correlation} v1" in noted
    for following in ((second, received), (third, noted)):
        indents = [line.index("+") for line in (first, placed, *following)]
        assert indents == sorted(set(indents))


def test_a_command_without_a_correlation_id_is_traced_by_its_own_id(dev: Dev) -> None:
    done = dev.run("send", "PlaceOrder", json.dumps({**ORDER, "order_id": "o-first"}), "-t", TENANT, "--json")
    command = json.loads(done.out)["command_id"]
    traced = json.loads(dev.run("trace", command, "-t", TENANT, "--json").out)
    assert [root["command_id"] for root in traced["roots"]] == [command]
    assert traced["roots"][0]["then"][0]["event"]["data"]["customer_id"] == "ann"


def test_a_trace_of_another_tenant_is_not_found(dev: Dev) -> None:
    correlation, _ = _correlated(dev)
    done = dev.run("trace", correlation, "-t", "stranger")
    assert done.code == 1
    assert f"nothing has the correlation id {correlation} of tenant stranger" in done.err
    assert json.loads(dev.run("trace", correlation, "-t", "stranger", "--json").out)["roots"] == []


def test_an_unavailable_context_is_named_and_the_rest_is_shown(dev: Dev) -> None:
    correlation, _ = _correlated(dev)
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        unreachable = f"127.0.0.1:{nobody.getsockname()[1]}"
        targets = f"orders={dev.state.contexts['orders'].target},inventory={unreachable}"
        caller = ("--target", targets, "-t", TENANT, "--timeout", "1")
        done = dev.run("trace", correlation, *caller)
        assert done.code == 6, done.err
        assert "OrderPlaced orders" in done.out
        reason = f"NO_ANSWER: no answer from {unreachable} within 1 s"
        for shown in (done.out, done.err):
            assert f"inventory is not shown: {reason}" in shown
        values = json.loads(dev.run("trace", correlation, *caller, "--json").out)
        assert values["unavailable"]["inventory"].startswith(reason)
        missing = dev.run("trace", "nothing", *caller)
        assert missing.code == 6
        assert "nothing has the correlation id nothing" in missing.err
        assert f"inventory is not shown: {reason}" in missing.err
        assert intent("trace", correlation, "--target", unreachable, "-t", TENANT, "--timeout", "1").code == 4


def test_one_target_option_serves_commands_to_any_context(dev: Dev) -> None:
    targets = ",".join(f"{name}={address.target}" for name, address in dev.state.contexts.items())
    order = json.dumps({**ORDER, "order_id": "o-named"})
    assert intent("send", "PlaceOrder", order, "--target", targets, "-t", TENANT).code == 0
    only = f"inventory={dev.state.contexts['inventory'].target}"
    done = intent("send", "PlaceOrder", order, "--target", only, "-t", TENANT)
    assert done.code == 2
    assert "the context orders has no address in --target, which names: inventory" in done.err
    assert "is no address; write it like" in intent("events", "--target", "orders=", "-t", TENANT).err


def test_events_of_all_contexts_are_read_in_the_order_of_time(dev: Dev) -> None:
    tenant = f"t-{uuid4()}"
    for order_id in (f"s-{number}" for number in range(3)):
        dev.run("send", "PlaceOrder", json.dumps({**ORDER, "order_id": order_id}), "-t", tenant)
        dev.run(
            *("send", "ReceiveStock", '{"warehouse_id": "w", "lines": [{"sku": "tea", "quantity": 1}]}'),
            *("-t", tenant),
        )
    # Without shipping, which notes the orders some time later.
    targets = ",".join(f"{name}={dev.state.contexts[name].target}" for name in ("orders", "inventory"))
    reading = ("events", "--target", targets, "-t", tenant)
    lines = dev.run(*reading).out.splitlines()
    assert [line.split()[0] for line in lines] == ["orders", "inventory"] * 3
    assert len(dev.run(*reading, "-n", "4").out.splitlines()) == 4
    assert [line.split()[0] for line in dev.run(*reading, "-n", "4", "-F").out.splitlines()] == (
        ["orders", "inventory"] * 2
    )
    done = dev.run(*reading, "--after", "1")
    assert done.code == 2
    assert "--after needs --context" in done.err


def test_projections_of_all_contexts_are_shown_and_found_by_name(dev: Dev) -> None:
    shown = dev.run("projections", "status", "--json")
    assert shown.code == 0, shown.err
    assert json.loads(shown.out).keys() == dev.state.contexts.keys()
    rebuilt = dev.run("projections", "rebuild", "StockItems")
    assert "StockItems is rebuilt up to position" in rebuilt.out, rebuilt.err
    missing = dev.run("projections", "rebuild", "Nothing")
    assert missing.code == 1
    assert "there is no projection 'Nothing'; there are: " in missing.err
