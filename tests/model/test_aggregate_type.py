"""Restoring, copying, deciding: what the platform asks of an aggregate for every command."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from google.protobuf.message import Message
from hypothesis import given, settings
from hypothesis import strategies as st
from intent.contracts import MESSAGE_LIMIT, Problems
from intent.errors import (
    CommandError,
    HandlerFailed,
    NewerReleaseNeeded,
    Rejected,
    SnapshotUnusable,
    StoreError,
)
from intent.model import AggregateType, CommandMetadata, Upcasters, applies, handles
from intent.model.binding.aggregates import bind_aggregate
from intent.records import Snapshot, StoredEvent
from intent_contracts.orders.v1 import (
    CancelOrder,
    ChangeLine,
    ConfirmOrder,
    LineChanged,
    OrderCancelled,
    OrderConfirmed,
    OrderPlaced,
    OrderState,
    OrderView,
    PlaceOrder,
)
from orders.aggregates import Order

from .messages import METADATA, ORDERS, decided, order_type, place

CHANGE = ChangeLine(order_id="o-1", line_id="a", quantity=5)
CONFIRM = ConfirmOrder(order_id="o-1")


@pytest.fixture(scope="module")
def orders() -> AggregateType:
    return order_type()


def test_deciding_records_events_and_applies_them(orders: AggregateType) -> None:
    order = orders.new("acme", "o-1")
    (event,) = orders.decide(order, place("a"), METADATA)
    assert (event.type, event.schema_version) == ("orders.v1.OrderPlaced", 2)
    assert OrderPlaced.FromString(event.data).customer_id == "ann"
    assert order.version == 1
    assert order.state.total.minor_units == 100


def test_deciding_nothing_records_nothing(orders: AggregateType) -> None:
    order = orders.new("acme", "o-1")
    orders.decide(order, place("a"), METADATA)
    assert orders.decide(order, ChangeLine(order_id="o-1", line_id="a", quantity=1), METADATA) == []
    assert order.version == 1


def test_events_restore_what_was_decided(orders: AggregateType) -> None:
    order = orders.new("acme", "o-1")
    for command in (place(), CHANGE, CONFIRM):
        orders.decide(order, command, METADATA)
    again = orders.restore("acme", "o-1", snapshot=None, events=decided(orders, place(), CHANGE, CONFIRM))
    assert (again.tenant, again.id, again.version, again.state) == ("acme", "o-1", 3, order.state)


def test_a_snapshot_stands_for_the_events_before_it(orders: AggregateType) -> None:
    events = decided(orders, place(), CHANGE, CONFIRM)
    early = orders.restore("acme", "o-1", snapshot=None, events=events[:2])
    snapshot = orders.snapshot(early)
    assert (snapshot.version, snapshot.state_version, orders.usable(snapshot)) == (2, 1, True)
    late = orders.restore("acme", "o-1", snapshot=snapshot, events=events[2:])
    whole = orders.restore("acme", "o-1", snapshot=None, events=events)
    assert (late.version, late.state) == (whole.version, whole.state) == (3, whole.state)


def test_a_snapshot_of_an_unknown_state_version_is_not_used(orders: AggregateType) -> None:
    snapshot = Snapshot(version=1, state_version=9, state=b"")
    assert not orders.usable(snapshot)
    with pytest.raises(SnapshotUnusable, match="state version 9 to 1; rebuild from all events"):
        orders.restore("acme", "o-1", snapshot=snapshot, events=[])


def test_a_gap_in_the_events_is_refused(orders: AggregateType) -> None:
    events = decided(orders, place(), CHANGE, CONFIRM)
    with pytest.raises(StoreError, match="Order o-1: version 3 follows version 1"):
        orders.restore("acme", "o-1", snapshot=None, events=[events[0], events[2]])


def test_an_event_of_a_newer_release_is_refused_by_name(orders: AggregateType) -> None:
    newer = StoredEvent(1, "orders.v1.OrderPlaced", 3, b"")
    with pytest.raises(NewerReleaseNeeded, match=r"orders\.v1\.OrderPlaced version 3 is unknown"):
        orders.restore("acme", "o-1", snapshot=None, events=[newer])


def test_bytes_that_are_no_event_are_refused_by_name(orders: AggregateType) -> None:
    with pytest.raises(StoreError, match=r"stored as orders\.v1\.OrderPlaced cannot be read"):
        orders.restore(
            "acme", "o-1", snapshot=None, events=[StoredEvent(1, "orders.v1.OrderPlaced", 2, b"\xff")]
        )


def test_a_refused_command_leaves_the_aggregate_as_it_was(orders: AggregateType) -> None:
    order = orders.new("acme", "o-1")
    orders.decide(order, place(), METADATA)
    before = orders.snapshot(order)
    with pytest.raises(Rejected):
        orders.decide(order, place(), METADATA)
    assert orders.snapshot(order) == before


@pytest.mark.parametrize(
    ("before", "after", "due"),
    [(0, 99, False), (99, 100, True), (100, 101, False), (98, 205, True), (100, 100, False)],
)
def test_a_snapshot_is_due_when_the_version_passes_a_multiple(
    orders: AggregateType, before: int, after: int, due: bool
) -> None:
    assert orders.snapshot_due(before, after) is due


class Odd(Order):
    """Makes the mistakes that handlers can make."""

    name = "Order"
    snapshot_every = 0
    seen: CommandMetadata | None = None

    @handles
    def place(self, command: PlaceOrder) -> Sequence[Message]:  # type: ignore[override]
        Odd.seen = self.command
        return [LineChanged(quantity=1), OrderConfirmed(), LineChanged(quantity=2)]

    @handles
    def change_line(self, command: ChangeLine) -> Message:  # type: ignore[override]
        return OrderView()

    @handles
    def confirm(self, command: ConfirmOrder) -> Sequence[Message]:  # type: ignore[override]
        return [LineChanged(quantity=1), OrderCancelled(reason="x" * (MESSAGE_LIMIT + 1))]

    @handles
    def cancel(self, command: CancelOrder) -> None:  # type: ignore[override]
        raise ZeroDivisionError

    @applies
    def line_changed(self, event: LineChanged) -> None:
        self.state.total.minor_units = self.version * 10 + event.quantity


def _bound(cls: type[Order]) -> AggregateType:
    problems = Problems()
    kind = bind_aggregate("orders", cls, ORDERS, Upcasters([], ORDERS), problems)
    problems.refuse()
    assert kind is not None
    return kind


@pytest.fixture(scope="module")
def odd() -> AggregateType:
    return _bound(Odd)


def test_a_handler_may_return_several_events_which_apply_in_order(odd: AggregateType) -> None:
    aggregate = odd.new("acme", "o-1")
    events = odd.decide(aggregate, place(), METADATA)
    assert [event.type.rpartition(".")[2] for event in events] == [
        "LineChanged",
        "OrderConfirmed",
        "LineChanged",
    ]
    assert (aggregate.version, aggregate.state.total.minor_units) == (3, 32)


def test_a_handler_knows_who_sent_the_command_and_when(odd: AggregateType) -> None:
    odd.decide(odd.new("acme", "o-1"), place(), METADATA)
    assert Odd.seen == METADATA


@pytest.mark.parametrize(
    ("command", "error", "reason"),
    [(CHANGE, HandlerFailed, "NOT_AN_EVENT"), (CONFIRM, Rejected, "EVENT_TOO_LARGE")],
)
def test_what_cannot_be_recorded_is_refused_before_anything_is_applied(
    odd: AggregateType, command: Message, error: type[CommandError], reason: str
) -> None:
    aggregate = odd.new("acme", "o-1")
    with pytest.raises(error) as raised:
        odd.decide(aggregate, command, METADATA)
    assert raised.value.reason == reason
    assert (aggregate.version, aggregate.state) == (0, OrderState())


class Copious(Order):
    """Records more than one command may."""

    name = "Order"

    @handles
    def confirm(self, command: ConfirmOrder) -> Sequence[LineChanged]:  # type: ignore[override]
        return [LineChanged(quantity=1)] * 1001

    @handles
    def cancel(self, command: CancelOrder) -> Sequence[OrderCancelled]:  # type: ignore[override]
        return [OrderCancelled(reason="x" * (MESSAGE_LIMIT - 10))] * 5

    @handles
    def change_line(self, command: ChangeLine) -> Sequence[LineChanged]:  # type: ignore[override]
        return [LineChanged(quantity=1)] * 1000


@pytest.mark.parametrize(
    ("command", "reason", "message"),
    [
        (CONFIRM, "EVENTS_TOO_MANY", "more than 1000 events; let several commands record them"),
        (CancelOrder(order_id="o-1"), "EVENTS_TOO_LARGE", "at most 1048576 are allowed"),
    ],
)
def test_a_command_that_would_record_too_much_is_refused_before_anything_is_applied(
    command: Message, reason: str, message: str
) -> None:
    kind = _bound(Copious)
    aggregate = kind.new("acme", "o-1")
    with pytest.raises(Rejected, match=message) as raised:
        kind.decide(aggregate, command, METADATA)
    assert raised.value.reason == reason
    assert (aggregate.version, aggregate.state) == (0, OrderState())


@pytest.mark.parametrize(("order", "refused"), [("a" * 255, False), ("\U0001f375" * 255, True)])
def test_an_event_whose_saga_would_have_too_long_an_id_is_not_recorded(order: str, refused: bool) -> None:
    aggregate, kind = order_type().new("acme", order), order_type()
    placed = place(order)
    placed.checkout.card_token = "tok"
    if not refused:
        assert kind.decide(aggregate, placed, METADATA)
        return
    with pytest.raises(
        Rejected, match="whose id has 1047 bytes, and may have 1000; shorten the id"
    ) as raised:
        kind.decide(aggregate, placed, METADATA)
    assert (raised.value.reason, aggregate.version) == ("SAGA_ID_TOO_LONG", 0)


def test_a_command_may_record_a_thousand_events() -> None:
    kind = _bound(Copious)
    assert len(kind.decide(kind.new("acme", "o-1"), CHANGE, METADATA)) == 1000


def test_a_defect_in_a_handler_is_raised(odd: AggregateType) -> None:
    with pytest.raises(ZeroDivisionError):
        odd.decide(odd.new("acme", "o-1"), CancelOrder(order_id="o-1", reason="x"), METADATA)


def test_a_command_of_another_aggregate_is_refused(odd: AggregateType) -> None:
    with pytest.raises(HandlerFailed, match=r"Order has no handler for orders\.v1\.OrderView"):
        odd.decide(odd.new("acme", "o-1"), OrderView(), METADATA)


def test_without_a_policy_no_snapshot_is_due(odd: AggregateType) -> None:
    assert not odd.snapshot_due(0, 1_000_000)


_commands = st.one_of(
    st.builds(
        ChangeLine, order_id=st.just("o-1"), line_id=st.sampled_from("abc"), quantity=st.integers(0, 3)
    ),
    st.just(CONFIRM),
    st.just(CancelOrder(order_id="o-1", reason="r")),
    st.just(place("a", "b", "c")),
)


@given(st.lists(_commands, max_size=20), st.integers(0, 10))
@settings(max_examples=100, deadline=None)
def test_any_history_is_restored_as_it_happened(commands: list[Message], at: int) -> None:
    kind = order_type()
    lived, events = kind.new("acme", "o-1"), []
    snapshot, after = None, 0
    for command in commands:
        try:
            events += kind.decide(lived, command, METADATA)
        except CommandError:
            continue
        if lived.version <= at:
            snapshot, after = kind.snapshot(lived), lived.version
    stored = [StoredEvent(version, *event) for version, event in enumerate(events, start=1)]
    whole = kind.restore("acme", "o-1", snapshot=None, events=stored)
    short = kind.restore("acme", "o-1", snapshot=snapshot, events=stored[after:])
    assert whole.state == short.state == lived.state
    assert whole.version == short.version == lived.version == len(events)
