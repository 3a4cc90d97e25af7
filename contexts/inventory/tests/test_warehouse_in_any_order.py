"""Whichever commands a warehouse gets, in whichever order, no unit is sold twice or lost."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from uuid import UUID

from google.protobuf.message import Message
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from intent.contracts import Registry
from intent.errors import CommandError
from intent.model import Aggregate, AggregateType, CommandMetadata
from intent.records import StoredEvent
from intent.testing import projected
from intent_contracts.inventory.v1 import StockItem, StockRanLow, WarehouseState
from inventory.aggregates import RESERVATION_ROOM
from inventory.context import context
from inventory.projections import StockItems

from .stock_examples import ID, receive, release, reserve, ship_out, watch

WAREHOUSE: AggregateType = context.bind(Registry.load()).aggregates["Warehouse"]
METADATA = CommandMetadata(
    tenant="acme",
    command_id=UUID(int=1),
    actor="user:ann",
    correlation_id="c-1",
    received_at=datetime(2026, 1, 1, tzinfo=UTC),
)
SKUS = st.sampled_from(["tea", "milk", "salt"])
RESERVATIONS = st.sampled_from([f"r-{number}" for number in range(6)])
QUANTITIES = st.dictionaries(SKUS, st.integers(1, 9), min_size=1)


def _low(warehouse: Aggregate[WarehouseState]) -> set[str]:
    items = warehouse.state.items.items()
    return {sku for sku, article in items if 0 < article.low_level >= article.on_hand - article.reserved}


class Warehouses(RuleBasedStateMachine):
    """Sends any commands, and keeps its own count of what was accepted."""

    def __init__(self) -> None:
        super().__init__()
        self.warehouse = WAREHOUSE.new("acme", ID)
        self.events: list[Message] = []
        self.on_hand: Counter[str] = Counter()
        self.held: dict[str, Counter[str]] = {}

    def _send(self, command: Message) -> str:
        """Return the reason of the rejection, or an empty string."""
        low_before = _low(self.warehouse)
        try:
            decided = WAREHOUSE.decide(self.warehouse, command, METADATA)
        except CommandError as error:
            return error.reason
        events = [WAREHOUSE.event_class(event.type).FromString(event.data) for event in decided]
        reported = {event.sku for event in events if isinstance(event, StockRanLow)}
        assert reported == _low(self.warehouse) - low_before
        self.events += events
        return ""

    def _available(self, sku: str) -> int:
        return self.on_hand[sku] - sum(held[sku] for held in self.held.values())

    @rule(quantities=QUANTITIES)
    def receive(self, quantities: dict[str, int]) -> None:
        assert self._send(receive(**quantities)) == ""
        self.on_hand.update(quantities)

    @rule(reservation_id=RESERVATIONS, quantities=QUANTITIES)
    def reserve(self, reservation_id: str, quantities: dict[str, int]) -> None:
        reason = self._send(reserve(reservation_id, **quantities))
        if not self.events:
            assert reason == "WAREHOUSE_NOT_FOUND"
        elif reservation_id in self.held:
            same = self.held[reservation_id] == quantities
            assert reason == ("" if same else "RESERVATION_DIFFERS")
        elif any(self._available(sku) < quantity for sku, quantity in quantities.items()):
            assert reason == "OUT_OF_STOCK"
        else:
            assert reason == ""
            self.held[reservation_id] = Counter(quantities)

    @rule(reservation_id=RESERVATIONS)
    def release(self, reservation_id: str) -> None:
        accepted = self._send(release(reservation_id)) == ""
        assert accepted == (reservation_id in self.held)
        self.held.pop(reservation_id, None)

    @rule(reservation_id=RESERVATIONS)
    def ship_out(self, reservation_id: str) -> None:
        accepted = self._send(ship_out(reservation_id)) == ""
        assert accepted == (reservation_id in self.held)
        self.on_hand -= self.held.pop(reservation_id, Counter())

    @rule(sku=SKUS, level=st.integers(0, 5))
    def watch(self, sku: str, level: int) -> None:
        self._send(watch(sku, level))

    @invariant()
    def nothing_is_sold_twice_or_lost(self) -> None:
        for sku in ("tea", "milk", "salt"):
            article = self.warehouse.state.items.get(sku)
            on_hand, reserved = (article.on_hand, article.reserved) if article else (0, 0)
            assert on_hand == self.on_hand[sku]
            assert on_hand - reserved == self._available(sku) >= 0
        assert set(self.warehouse.state.reservations) == set(self.held)

    def teardown(self) -> None:
        """Check that the events alone make the same warehouse and the same stock list."""
        again = WAREHOUSE.restore("acme", ID, snapshot=None, events=self._stored())
        assert again.state == self.warehouse.state
        for row in projected(StockItems, ID, *self.events):
            self._check_row(row)

    def _stored(self) -> list[StoredEvent]:
        return [
            StoredEvent(version, *WAREHOUSE.encode(event))
            for version, event in enumerate(self.events, start=1)
        ]

    def _check_row(self, row: StockItem) -> None:
        assert (row.on_hand, row.available) == (self.on_hand[row.sku], self._available(row.sku))
        assert row.low == (row.sku in _low(self.warehouse))


Warehouses.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestWarehouses = Warehouses.TestCase


def test_reservations_never_make_a_state_that_could_not_be_kept() -> None:
    """Open as many as there is room for, with the longest names: a clear rejection, then room again."""
    warehouse = WAREHOUSE.new("acme", ID)
    WAREHOUSE.decide(warehouse, receive(tea=1_000_000), METADATA)
    refused = ""
    opened = 0
    while not refused:
        command = reserve(f"{opened:0128}", tea=1)
        command.order_id = f"{opened:064}"
        try:
            WAREHOUSE.decide(warehouse, command, METADATA)
            opened += 1
        except CommandError as error:
            refused = f"{error.reason}: {error}"
    assert refused.startswith("TOO_MANY_RESERVATIONS")
    assert f"{opened} open reservations" in refused
    assert RESERVATION_ROOM * 0.9 < warehouse.state.ByteSize() <= RESERVATION_ROOM
    WAREHOUSE.decide(warehouse, ship_out(f"{0:0128}"), METADATA)
    WAREHOUSE.decide(warehouse, reserve("another", tea=1), METADATA)
