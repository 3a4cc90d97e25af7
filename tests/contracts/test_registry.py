"""What the registry reads from the contracts."""

from __future__ import annotations

import pytest
from intent.contracts import Registry
from intent.errors import ConfigurationError, UnknownType
from intent_contracts.orders.v1 import GetOrder, OrderPlaced, OrderState, OrderView, PlaceOrder, Reason

from .protos import Proto, registry, shop, text


@pytest.fixture(scope="module")
def orders() -> Registry:
    return Registry.load()


def test_a_command_names_its_aggregate_its_roles_and_its_method(orders: Registry) -> None:
    contract = orders.command("orders.v1.PlaceOrder")
    assert contract.message is PlaceOrder
    assert (contract.context, contract.aggregate) == ("orders", "Order")
    assert contract.roles == {"customer", "service"}
    assert contract.method == "/orders.v1.Orders/PlaceOrder"
    assert contract.aggregate_id(PlaceOrder(order_id="o-1")) == "o-1"


def test_a_command_declares_its_reasons_and_the_platform_adds_its_own(orders: Registry) -> None:
    contract = orders.command("orders.v1.CancelOrder")
    assert contract.rejects[:2] == (Reason.ORDER_NOT_FOUND, "ORDER_ALREADY_CANCELLED")
    assert contract.may_reject(Reason.ORDER_SHIPPED)
    assert contract.may_reject("EVENT_TOO_LARGE")
    assert not contract.may_reject(Reason.ORDER_NOT_OPEN)


def test_the_constants_of_a_package_are_the_reasons_of_its_commands(orders: Registry) -> None:
    own = [command for command in orders.commands.values() if command.context == "orders"]
    assert {reason for command in own for reason in command.rejects} == set(Reason)


def test_an_event_and_a_state_have_their_versions(orders: Registry) -> None:
    event = orders.event("orders.v1.OrderPlaced")
    assert (event.message, event.aggregate, event.version) == (OrderPlaced, "Order", 2)
    state = orders.state_of("orders", "Order")
    assert state is not None
    assert (state.message, state.version) == (OrderState, 1)
    assert orders.state_of("orders", "Parcel") is None


def test_a_query_names_its_method_and_its_answer(orders: Registry) -> None:
    contract = orders.query("orders.v1.GetOrder")
    assert (contract.message, contract.response) == (GetOrder, OrderView)
    assert contract.method == "/orders.v1.Orders/GetOrder"


def test_a_read_model_has_its_table_its_key_and_its_filters(orders: Registry) -> None:
    contract = orders.read_models["orders.v1.OrderSummary"]
    assert contract.table == "order_summary"
    assert contract.key == ("order_id",)
    assert contract.indexed == ("customer_id", "status")


def test_a_service_is_found_by_its_context(orders: Registry) -> None:
    (service,) = orders.services("orders")
    assert service.full_name == "orders.v1.Orders"
    assert orders.services("parcels") == ()


def test_all_installed_contracts_are_read_without_the_platforms_own() -> None:
    everything = Registry.load()
    assert "orders" in everything.contexts
    assert "intent" not in everything.contexts
    assert everything.context_of("orders.v1.OrderView") == "orders"


def test_events_find_the_sagas_that_listen() -> None:
    protos = shop().message(
        "Fulfil", saga={"starts_on": ["shop.v1.Opened"], "listens_to": ["shop.v1.Opened"]}
    )
    found = registry(protos)
    assert [saga.type for saga in found.listeners("shop.v1.Opened")] == ["shop.v1.Fulfil"]
    assert found.listeners("shop.v1.Closed") == ()


def test_a_saga_may_listen_to_another_context() -> None:
    sagas = Proto("ship/v1/sagas.proto", "ship.v1")
    sagas.message("Ship", saga={"starts_on": ["shop.v1.Opened"], "correlated_by": "owner"})
    (saga,) = registry(shop(), sagas).listeners("shop.v1.Opened")
    assert (saga.context, saga.correlated_by) == ("ship", "owner")


def test_an_event_of_its_own_context_without_the_field_finds_its_saga_by_the_aggregates_id() -> None:
    home = shop().message("Fulfil", saga={"starts_on": ["shop.v1.Opened"], "correlated_by": "cart_id"})
    (saga,) = registry(home).listeners("shop.v1.Opened")
    assert saga.correlated_by == "cart_id"


@pytest.mark.parametrize(
    ("kind", "reason"),
    [("command", "UNKNOWN_COMMAND"), ("event", "UNKNOWN_EVENT"), ("query", "UNKNOWN_QUERY")],
)
def test_an_unknown_type_is_an_error_that_names_it(orders: Registry, kind: str, reason: str) -> None:
    with pytest.raises(UnknownType, match=r"there is no .* 'orders\.v1\.Nothing'") as raised:
        getattr(orders, kind)("orders.v1.Nothing")
    assert raised.value.reason == reason


def test_an_unknown_package_is_an_error_that_names_it() -> None:
    with pytest.raises(ConfigurationError, match=r"proto package nothing\.v1"):
        Registry.load("nothing.v1")


def test_the_registry_cannot_be_changed(orders: Registry) -> None:
    with pytest.raises(TypeError):
        orders.commands["x"] = orders.command("orders.v1.PlaceOrder")  # type: ignore[index]


def test_messages_inside_messages_are_read() -> None:
    protos = shop()
    nested = protos.file.message_type[0].nested_type.add(name="Closed")
    nested.CopyFrom(Proto().message("Closed", event={"aggregate": "Cart", "version": 1}).file.message_type[0])
    assert registry(protos).event("shop.v1.CartState.Closed").aggregate == "Cart"


def test_a_table_can_be_named() -> None:
    protos = shop().message("CartRow", text("cart_id", key=True), read_model={"table": "carts"})
    assert registry(protos).read_models["shop.v1.CartRow"].table == "carts"
