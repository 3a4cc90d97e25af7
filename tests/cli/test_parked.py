"""`intent consumers` and `intent parked` beside a running `intent dev`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest
from intent.client import IntentClient
from intent.model import Consumer, consumes
from intent_contracts.orders.v1 import OrderCancelled, OrderPlaced

from .conftest import Dev
from .running import ORDER, wait_until

TENANT = "parking"


class Failing(Consumer):
    """Fails on every order that is placed."""

    name = "tests.failing"
    attempts = 1
    from_now = True

    @consumes
    def placed(self, event: OrderPlaced) -> None:
        raise ValueError(f"no stock for {event.customer_id}")

    @consumes
    def cancelled(self, event: OrderCancelled) -> None:
        return None


def consume(dev: Dev, until: Callable[[], bool]) -> None:
    """Run the consumer until something holds."""

    async def run() -> None:
        async with IntentClient.connect(
            dev.state.contexts["orders"].target, tenant=TENANT, actor="service:tests"
        ) as client:
            runner = client.consume(Failing())
            task = asyncio.create_task(runner.run())
            async with asyncio.timeout(90):
                while not await asyncio.to_thread(until):  # noqa: ASYNC110 - nothing signals it
                    await asyncio.sleep(0.1)
            runner.stop()
            await task

    asyncio.run(run())


def listed(dev: Dev, *arguments: str) -> list[dict[str, Any]]:
    done = dev.run(*arguments, "--json", "--context", "orders")
    assert done.code == 0, done.err
    found: list[dict[str, Any]] = json.loads(done.out)
    return [each for each in found if each["consumer"] == Failing.name]


@pytest.fixture
def stream(dev: Dev) -> Iterator[str]:
    """Park a stream of two events, the first of which failed."""
    order_id = f"o-{uuid4()}"
    consume(dev, lambda: len(listed(dev, "consumers", "list")) == 1)
    order = json.dumps({**ORDER, "order_id": order_id})
    assert dev.run("send", "PlaceOrder", order, "--tenant", TENANT).code == 0
    cancel = json.dumps({"order_id": order_id, "reason": "too dear"})
    assert dev.run("send", "CancelOrder", cancel, "--tenant", TENANT).code == 0
    consume(dev, lambda: len(listed(dev, "parked", "list")) == 2)
    yield f"Order/{order_id}"
    consume(dev, lambda: listed(dev, "consumers", "list")[0]["instances"] == 1)
    removing = ("consumers", "remove", Failing.name, "--context", "orders", "--tenant", TENANT)
    wait_until(lambda: dev.run(*removing).code == 0, 60, "the consumer is removed")


def test_a_parked_stream_is_listed_shown_and_replayed(dev: Dev, stream: str) -> None:
    (info,) = listed(dev, "consumers", "list")
    assert (info["context"], info["tenant_id"], info["parked_streams"]) == ("orders", TENANT, 1)
    table = dev.run("consumers").out
    assert Failing.name in table
    assert "shipping.known-orders" in table
    first, second = listed(dev, "parked", "list", Failing.name)
    assert first["error"] == "ValueError: no stock for ann"
    assert (first["attempts"], second.get("attempts", 0)) == (1, 0)
    assert first["event"]["data"]["customer_id"] == "ann"
    # Wide, as what other contexts have parked may need columns of any width.
    assert "no stock for ann" in dev.run("parked", "list", COLUMNS="400").out

    shown = dev.run("parked", "show", Failing.name, stream).out
    assert f"{stream} of tenant {TENANT}, {Failing.name}" in shown
    assert "OrderPlaced" in shown
    assert "failed 1x: ValueError: no stock for ann" in shown
    assert "OrderCancelled" in shown

    replayed = dev.run("parked", "replay", Failing.name, stream)
    assert (
        f"{stream} of tenant {TENANT}: 2 event(s) will be delivered to {Failing.name} again" in replayed.out
    )
    assert listed(dev, "parked", "list") == []
    consume(dev, lambda: len(listed(dev, "parked", "list")) == 2)
    assert dev.run("parked", "replay", Failing.name, "--all").code == 0
    assert dev.run("parked", "show", Failing.name, stream).code == 2


def test_a_parked_event_is_dropped_with_a_reason(dev: Dev, stream: str) -> None:
    position = listed(dev, "parked", "list")[0]["event"]["position"]
    without = dev.run("parked", "drop", Failing.name, str(position))
    assert without.code == 2
    dropped = dev.run("parked", "drop", Failing.name, str(position), "--reason", "a test order")
    assert "the events behind it continue" in dropped.out, dropped.err
    consume(dev, lambda: int(listed(dev, "consumers", "list")[0].get("lag", 0)) == 0)
    assert listed(dev, "parked", "list") == []
    again = dev.run("parked", "drop", Failing.name, str(position), "--reason", "again")
    assert again.code == 2
    assert "`intent parked list` shows what is parked" in again.err


def test_wrong_arguments_are_reported(dev: Dev) -> None:
    assert "name one stream" in dev.run("parked", "replay", "any").err
    assert "write it like Order/o-1" in dev.run("parked", "show", "any", "o-1").err
    missing = dev.run("consumers", "remove", "no-such-consumer", "--context", "orders")
    assert missing.code == 1
    assert "there is no consumer" in missing.err
