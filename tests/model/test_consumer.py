"""How consumers are declared, and what is refused at start-up."""

from __future__ import annotations

from dataclasses import replace

import pytest
from google.protobuf.message import Message
from intent.contracts import Registry
from intent.errors import ContractError
from intent.model import Consumer, EventMetadata, command_id_of, consumes
from intent.testing import reactions
from intent_contracts.orders.v1 import OrderCancelled, OrderPlaced, PlaceOrder
from intent_contracts.shipping.v1 import NoteOrder, ParcelDelivered
from shipping.context import context as shipping

REGISTRY = Registry.load()


class Noting(Consumer):
    name = "shipping.noting"

    @consumes
    def placed(self, event: OrderPlaced, meta: EventMetadata) -> NoteOrder:
        return NoteOrder(order_id=f"{meta.tenant}/{meta.aggregate_id}", customer_id=event.customer_id)

    @consumes
    async def cancelled(self, event: OrderCancelled) -> None:
        return None


def test_handlers_are_found_by_the_types_of_their_events() -> None:
    assert set(Noting.handlers) == {"orders.v1.OrderPlaced", "orders.v1.OrderCancelled"}


def test_a_consumer_is_tested_without_the_other_context() -> None:
    made = reactions(Noting, "o-1", OrderPlaced(customer_id="ann"), OrderCancelled())
    assert made == [NoteOrder(order_id="acme/o-1", customer_id="ann")]


def test_a_consumer_that_does_not_take_an_event_says_so() -> None:
    with pytest.raises(TypeError, match=r"takes no shipping\.v1\.ParcelDelivered"):
        reactions(Noting, "p-1", ParcelDelivered())


def test_ids_of_commands_follow_from_event_consumer_and_step() -> None:
    event = "11111111-1111-4111-8111-111111111111"
    one = command_id_of("a", event, "1")
    assert one == command_id_of("a", event, "1")
    assert len({one, command_id_of("b", event, "1"), command_id_of("a", event, "2")}) == 3


@pytest.mark.parametrize("name", ["", "Known Orders", "1st", "a" * 101, 3])
def test_an_invalid_name_is_refused(name: object) -> None:
    nameless = type("Nameless", (Noting,), {"name": name})
    with pytest.raises(ContractError, match="give it a name"):
        replace(shipping, consumers=[nameless]).bind(REGISTRY)


def taking(*events: type[Message], name: str = "shipping.x") -> type[Consumer]:
    """Return a consumer of these events."""

    def method(event: type[Message]) -> object:
        def handler(self: object, event: object) -> None: ...

        handler.__annotations__["event"] = event
        return consumes(handler)

    methods = {f"on_{event.__name__}": method(event) for event in events}
    return type("Taking", (Consumer,), {"name": name, **methods})


@pytest.mark.parametrize(
    ("consumers", "said"),
    [
        ([taking()], "takes no event"),
        ([taking(PlaceOrder)], "which is no event"),
        ([taking(OrderPlaced, ParcelDelivered)], "takes events of several contexts"),
        ([taking(OrderPlaced), taking(OrderCancelled)], "is named shipping.x, as"),
        ([taking(OrderPlaced, name="orders.x")], r"is named orders\.x; .* name = \"shipping\.orders\.x\""),
    ],
)
def test_what_contradicts_the_contracts_stops_the_start(consumers: list[type[Consumer]], said: str) -> None:
    with pytest.raises(ContractError, match=said):
        replace(shipping, consumers=consumers).bind(REGISTRY)


def test_a_bound_context_knows_where_its_consumers_take_events_from() -> None:
    bound = replace(shipping, consumers=[Noting]).bind(REGISTRY)
    assert dict(bound.consumers) == {Noting: "orders"}
