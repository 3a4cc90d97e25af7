"""`intent sagas`, on orders that flow through four contexts."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest

from .conftest import Dev
from .running import ORDER, wait_until

CHECKOUT = {
    "card_token": "tok-ok",
    "warehouse_id": "main",
    "ship_to": {"name": "Ann", "street": "Main 1", "postal_code": "12345", "city": "Berlin", "country": "DE"},
}


class Shop:
    """One tenant with an order that was checked out, seen through the command line."""

    def __init__(self, dev: Dev) -> None:
        self.dev = dev
        self.tenant = f"t-{uuid4().hex[:12]}"
        self.order = f"o-{uuid4().hex[:12]}"
        self.saga = f"orders.v1.FulfilOrder/{self.tenant}/{self.order}"

    def run(self, *arguments: str) -> str:
        """Run a command that must succeed."""
        done = self.dev.run(*arguments, "--tenant", self.tenant)
        assert done.code == 0, done.err
        return done.out

    def check_out(self, **checkout: Any) -> None:
        """Fill the warehouse and place the order; its id is also the correlation id."""
        self.run("send", "ReceiveStock", '{"warehouse_id": "main", "lines": [{"sku": "tea", "quantity": 5}]}')
        order = {**ORDER, "order_id": self.order, "checkout": {**CHECKOUT, **checkout}}
        self.run("send", "PlaceOrder", json.dumps(order), "--correlation", self.order)

    def show(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.run("sagas", "show", self.saga, "--json"))
        return found

    def steps(self) -> list[tuple[str, str]]:
        """Return the steps so far, with their status."""
        steps = self.show()["report"].get("steps", [])
        return [(step["name"], step["status"].removeprefix("SAGA_STEP_STATUS_")) for step in steps]

    def waits_for(self, event: str) -> None:
        """Wait until the saga waits for an event."""

        def there() -> bool:
            return any(event in name and status == "RUNNING" for name, status in self.steps())

        self._becomes(there, f"{self.saga} waits for {event}")

    def has_status(self, status: str) -> None:
        """Wait until the saga has a status."""
        self._becomes(lambda: self.show()["saga"]["status"] == f"SAGA_STATUS_{status}", f"it is {status}")

    def listed(self, *options: str) -> list[str]:
        """Return the ids of the sagas in a list."""
        return [saga["id"] for saga in json.loads(self.run("sagas", "list", "--json", *options))]

    def lists(self, wanted: bool, *options: str) -> None:
        """Wait until a list has the saga, or no longer has it: lists lag by some moments."""
        self._becomes(lambda: (self.saga in self.listed(*options)) is wanted, f"the list {options} is right")

    def hand_over(self) -> None:
        """Report that the carrier fetched the parcel, as a real one would."""
        self.waits_for("ParcelHandedOver")
        self.run("send", "HandOverParcel", json.dumps({"parcel_id": self.order}))
        self.waits_for("ParcelDelivered")

    def _becomes(self, ready: Callable[[], object], what: str) -> None:
        def there() -> object:
            # Before its first event is delivered there is no such saga yet.
            found = self.dev.run("sagas", "show", self.saga)
            return found.code == 0 and ready()

        wait_until(there, 60, what)


@pytest.fixture
def shop(dev: Dev) -> Iterator[Shop]:
    """Return a shop whose saga is cancelled in the end, so that it does not run on in other tests."""
    opened = Shop(dev)
    yield opened
    dev.run("sagas", "cancel", opened.saga, "--reason", "the test is over")


def test_a_saga_is_listed_with_its_current_step_and_shown_with_all(shop: Shop) -> None:
    shop.check_out()
    shop.waits_for("ParcelHandedOver")
    shop.lists(True, "--status", "waiting")
    row = next(line for line in shop.run("sagas", "list").splitlines() if shop.saga in line)
    assert " waiting " in row
    assert "ParcelHandedOver" in row
    assert row.rstrip(" │").endswith(shop.order)
    heading, *steps = shop.run("sagas", "show", shop.saga).splitlines()
    assert heading.startswith(f"FulfilOrder {shop.order} waiting, began ")
    assert any("inventory.v1.ReserveStock done, in " in line for line in steps)
    assert any("wait for " in line and "ParcelHandedOver" in line for line in steps if "running" in line)


def test_a_list_is_filtered_by_status_type_correlation_and_context(shop: Shop) -> None:
    shop.check_out()
    shop.waits_for("ParcelHandedOver")
    shop.lists(True)
    shop.lists(True, "--type", "FulfilOrder", "--correlation", shop.order)
    shop.lists(True, "--context", "orders")
    assert shop.listed("--status", "stuck") == []
    assert shop.listed("--type", "RefundCharge") == []
    assert shop.listed("--correlation", "another") == []
    assert shop.saga not in shop.listed("--context", "payments", "--all")
    assert len(shop.listed("--correlation", shop.order)) > 1
    assert len(shop.listed("--context", "payments", "--all", "--limit", "1")) == 1
    assert shop.run("sagas", "list", "--status", "stuck") == "no sagas\n"


def test_a_saga_is_cancelled_and_undoes_what_it_did(shop: Shop) -> None:
    shop.check_out()
    shop.waits_for("ParcelHandedOver")
    output = shop.run("sagas", "cancel", shop.saga, "--reason", "ticket 88", "--actor", "user:ann")
    assert f"{shop.saga} ends at its next step and undoes what it did" in output
    shop.has_status("COMPENSATED")
    report = shop.show()["report"]
    assert (report["failure_reason"], "user:ann: ticket 88" in report["failure_detail"]) == (
        "CANCELLED",
        True,
    )
    drawn = shop.run("sagas", "show", shop.saga).splitlines()
    reserved = next(index for index, line in enumerate(drawn) if "inventory.v1.ReserveStock" in line)
    assert "undo-" in drawn[reserved + 1]
    assert "inventory.v1.ReleaseStock done" in drawn[reserved + 1]
    shop.lists(False)
    shop.lists(True, "--status", "compensated")
    shop.lists(True, "--all")
    again = shop.dev.run("sagas", "cancel", shop.saga, "--reason", "again")
    assert again.code == 1
    assert again.err.startswith("SAGA_OVER: ")


def test_a_terminated_saga_ends_at_once_and_leaves_what_it_did(shop: Shop) -> None:
    shop.check_out()
    shop.waits_for("ParcelHandedOver")
    output = shop.run("sagas", "terminate", shop.saga, "--reason", "ticket 88", "--actor", "user:ann")
    assert f"{shop.saga} has ended; what it did stays as it is" in output
    shop.has_status("FAILED")
    report = shop.show()["report"]
    assert report["failure_reason"] == "TERMINATED"
    assert "user:ann: ticket 88" in report["failure_detail"]
    again = shop.dev.run("sagas", "terminate", shop.saga, "--reason", "again")
    assert again.code == 1
    assert again.err.startswith("SAGA_OVER: ")


def test_a_stuck_saga_is_listed_retried_and_skipped(shop: Shop) -> None:
    shop.check_out()
    shop.hand_over()
    # Completed by hand, the order can no longer be abandoned: the compensation is rejected.
    shop.run("send", "CompleteOrder", json.dumps({"order_id": shop.order}))
    shop.run("sagas", "cancel", shop.saga, "--reason", "ticket 88")
    shop.has_status("STUCK")
    shop.lists(True, "--status", "stuck")
    parked = next(line for line in shop.run("sagas", "show", shop.saga).splitlines() if " parked" in line)
    assert "orders.v1.AbandonOrder" in parked
    assert "ORDER_COMPLETED" in parked
    refused = shop.dev.run("sagas", "cancel", shop.saga, "--reason", "again")
    assert refused.err.startswith("SAGA_BEING_UNDONE: ")
    shop.run("sagas", "resume", shop.saga)
    wait_until(lambda: "tried 2 times" in shop.run("sagas", "show", shop.saga), 30, "it was tried again")
    shop.has_status("STUCK")
    without_reason = shop.dev.run("sagas", "resume", shop.saga, "--skip")
    assert without_reason.code == 2
    assert "say why with --reason" in without_reason.err
    shop.run("sagas", "resume", shop.saga, "--skip", "--reason", "ticket 89", "--actor", "user:ann")
    shop.has_status("COMPENSATED")
    skipped = next(line for line in shop.run("sagas", "show", shop.saga).splitlines() if " skipped" in line)
    assert "user:ann: ticket 89" in skipped
    over = shop.dev.run("sagas", "resume", shop.saga)
    assert over.code == 1
    assert over.err.startswith("SAGA_NOT_STUCK: ")


def test_an_order_is_traced_over_four_contexts(shop: Shop) -> None:
    shop.check_out()
    shop.hand_over()
    shop.run("send", "DeliverParcel", json.dumps({"parcel_id": shop.order}))
    shop.has_status("COMPLETED")
    drawn = shop.run("trace", shop.order).splitlines()
    contexts = re.search(r" in (\d+) contexts, ", drawn[0])
    assert contexts
    # There are more where further contexts listen to orders.
    assert int(contexts[1]) >= 4
    indent = {}
    for what in (
        "CheckoutStarted orders",
        "orders saga FulfilOrder",
        " inventory.v1.ReserveStock done",
        "StockReserved inventory",
    ):
        line = next(line for line in drawn if what in line)
        indent[what] = line.index("+")
    assert list(indent.values()) == sorted(set(indent.values()))
    for what in ("payments saga AuthorizeCharge", "PaymentCaptured payments", "OrderCompleted orders"):
        assert any(what in line for line in drawn), what


def test_rejections_are_in_the_trace(shop: Shop) -> None:
    shop.check_out(card_token="tok-decline-card-expired")
    shop.has_status("COMPENSATED")
    trace = shop.run("trace", shop.order)
    assert "PAYMENT_DECLINED" in trace
    assert "StockReleased inventory" in trace


def test_another_tenant_neither_sees_nor_changes_a_saga(shop: Shop) -> None:
    shop.check_out()
    shop.waits_for("ParcelHandedOver")
    for command in (("show",), ("cancel", "--reason", "no"), ("resume",)):
        done = shop.dev.run("sagas", *command, shop.saga, "--tenant", "stranger")
        assert done.code == 1
        assert done.err.startswith("SAGA_NOT_FOUND: ")
    assert shop.dev.run("sagas", "list", "--all", "--tenant", "stranger").out == "no sagas\n"


def test_changing_a_saga_needs_an_operator(shop: Shop) -> None:
    shop.check_out()
    shop.waits_for("ParcelHandedOver")
    assert shop.run("sagas", "show", shop.saga, "--roles", "service")
    done = shop.dev.run("sagas", "cancel", shop.saga, "--reason", "no", "--roles", "service")
    assert done.code == 1
    assert "one of these roles is needed: operator" in done.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("list", "--status", "stuk"), "there is no status stuk; did you mean stuck?"),
        (("list", "--type", "FulfilOrdr"), "did you mean FulfilOrder?"),
        (("show", "o-1"), "o-1 starts with no saga's type; there are: "),
        (("show", "orders.v1.FulfilOrder"), "write it like orders.v1.FulfilOrder/demo/o-1"),
        (("resume", "orders.v1.FulfilOrder/demo/o-1", "--skip"), "say why with --reason"),
    ],
)
def test_a_wrong_argument_is_reported(dev: Dev, arguments: tuple[str, ...], message: str) -> None:
    done = dev.run("sagas", *arguments)
    assert done.code == 2
    assert message in done.err
