"""What belongs to whom by the contracts, and contracts of which nobody could tell."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from intent.contracts import Owner, Registry, hides_versions, required_owner, subject_of
from intent.errors import ContractError, NotTheOwner
from intent_contracts.intent.v1 import CommandOwnership, QueryOwnership
from intent_contracts.orders.v1 import (
    CancelOrder,
    GetOrder,
    OrderState,
    OrderSummary,
    PlaceOrder,
)

from .protos import Field, Proto, field, registry, text

REGISTRY = Registry.load()
CLERK = ["clerk"]
NO_TEXT = "which is no text that it has; name a single string field of it"


def closing(*owned: CommandOwnership) -> Proto:
    """Return contracts with a command that closes a cart, owned as given."""
    return (
        Proto()
        .message(
            "CartState",
            text("owner"),
            field("lines", Field.TYPE_INT32),
            state={"aggregate": "Cart", "version": 1},
        )
        .message(
            "Close",
            text("cart_id", aggregate_id=True),
            text("by"),
            field("words", Field.TYPE_STRING, repeated=True),
            command={"aggregate": "Cart", "roles": CLERK, "owned": list(owned)},
        )
        .method("Close", "shop.v1.Close", "intent.v1.CommandResult")
    )


def asking(owned: QueryOwnership, *, indexed: bool = True, answer: str = "CartView") -> Proto:
    """Return contracts with a query for a cart, owned as given."""
    return (
        Proto()
        .message("CartView", text("cart_id", key=True), text("owner", indexed=indexed), read_model={})
        .message("Count", field("carts", Field.TYPE_INT32))
        .message("GetCart", text("cart_id"), query={"roles": CLERK, "owned": [owned]})
        .method("GetCart", "shop.v1.GetCart", f"shop.v1.{answer}")
    )


CASES: dict[str, tuple[Callable[[], Proto], str]] = {
    "role that is none": (
        lambda: closing(CommandOwnership(role="guest", field="by")),
        "shop.v1.Close owns for the role 'guest', which is none of its roles; name one of its `roles`",
    ),
    "no role": (
        lambda: closing(CommandOwnership(field="by")),
        "shop.v1.Close has an `owned` without a role or a field; set in it `role`, and one of the fields",
    ),
    "no field": (
        lambda: closing(CommandOwnership(role="clerk")),
        "shop.v1.Close has an `owned` without a role or a field; set in it `role`, and one of the fields",
    ),
    "a role twice": (
        lambda: closing(
            CommandOwnership(role="clerk", field="by"), CommandOwnership(role="clerk", state_field="owner")
        ),
        "shop.v1.Close has two `owned` for the role 'clerk'; keep one of the two",
    ),
    "unknown field": (
        lambda: closing(CommandOwnership(role="clerk", field="owner")),
        f"shop.v1.Close is owned by its field 'owner', {NO_TEXT}",
    ),
    "repeated field": (
        lambda: closing(CommandOwnership(role="clerk", field="words")),
        f"shop.v1.Close is owned by its field 'words', {NO_TEXT}",
    ),
    "unknown field of the state": (
        lambda: closing(CommandOwnership(role="clerk", state_field="by")),
        f"shop.v1.Close is owned by the field 'by' of shop.v1.CartState, {NO_TEXT}",
    ),
    "number in the state": (
        lambda: closing(CommandOwnership(role="clerk", state_field="lines")),
        f"shop.v1.Close is owned by the field 'lines' of shop.v1.CartState, {NO_TEXT}",
    ),
    "unknown field of a query": (
        lambda: asking(QueryOwnership(role="clerk", field="owner")),
        f"shop.v1.GetCart is owned by its field 'owner', {NO_TEXT}",
    ),
    "row without the field": (
        lambda: asking(QueryOwnership(role="clerk", row_field="by")),
        "shop.v1.GetCart is owned by the field 'by' of its rows, by which shop.v1.CartView cannot be "
        "narrowed; give shop.v1.CartView this field, a single string with (intent.v1.indexed) = true",
    ),
    "row without an index": (
        lambda: asking(QueryOwnership(role="clerk", row_field="owner"), indexed=False),
        "shop.v1.GetCart is owned by the field 'owner' of its rows, by which shop.v1.CartView cannot be "
        "narrowed; give shop.v1.CartView this field, a single string with (intent.v1.indexed) = true",
    ),
    "answer without rows": (
        lambda: asking(QueryOwnership(role="clerk", row_field="owner"), answer="Count"),
        "shop.v1.GetCart is owned by the field 'owner' of its rows, but no read model is in its answer; "
        "answer with read models, or compare a `field` of the query",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_an_ownership_of_which_nobody_could_tell_is_refused(case: str) -> None:
    make, expected = CASES[case]
    with pytest.raises(ContractError) as raised:
        registry(make())
    assert raised.value.problems == (f"shop/v1/shop.proto: {expected}",)


def test_ownership_by_fields_that_are_there_is_accepted() -> None:
    closed = registry(closing(CommandOwnership(role="clerk", state_field="owner"))).command("shop.v1.Close")
    asked = registry(asking(QueryOwnership(role="clerk", row_field="owner"))).query("shop.v1.GetCart")
    assert [str(each) for each in closed.owned] == ["own only: owner of its state is the caller"]
    assert [str(each) for each in asked.owned] == ["own only: owner of the rows is the caller"]


@pytest.mark.parametrize(
    ("actor", "subject"),
    [
        ("user:ann", "ann"),
        ("ann", "ann"),
        # Else it would be that of an actor `partner:ann`, whom another issuer knows.
        ("user:partner:ann", "user:partner:ann"),
        ("service:ann", "service:ann"),
        ("partner:ann", "partner:ann"),
        # An empty subject would be equal to a field that nobody has set.
        ("user:", "user:"),
    ],
)
def test_the_subject_of_a_person_is_the_name_and_of_others_the_actor(actor: str, subject: str) -> None:
    assert subject_of(actor) == subject


def test_a_command_is_for_its_sender_by_its_own_field() -> None:
    place = REGISTRY.command("orders.v1.PlaceOrder")
    assert required_owner(place, {"customer"}, "user:ann", PlaceOrder(customer_id="ann")) is None
    for customer in ("bob", "", "user:ann", "Ann", "ann "):
        with pytest.raises(NotTheOwner) as raised:
            required_owner(place, {"customer"}, "user:ann", PlaceOrder(customer_id=customer))
        assert raised.value.reason == "NOT_THE_OWNER"
        assert raised.value.metadata == {"actor": "user:ann", "subject": "ann", "fields": "customer_id"}


def test_a_role_without_ownership_lifts_it() -> None:
    place = REGISTRY.command("orders.v1.PlaceOrder")
    everybody = PlaceOrder(customer_id="bob")
    assert required_owner(place, {"customer", "service"}, "user:ann", everybody) is None
    assert required_owner(place, {"service", "elsewhere"}, "user:ann", everybody) is None
    with pytest.raises(NotTheOwner):
        required_owner(place, {"customer", "elsewhere"}, "user:ann", everybody)


def test_state_and_rows_are_compared_where_they_are_read() -> None:
    ann = Owner("ann", ("customer_id",))
    cancel, get = REGISTRY.command("orders.v1.CancelOrder"), REGISTRY.query("orders.v1.GetOrder")
    assert required_owner(cancel, {"customer"}, "user:ann", CancelOrder(order_id="o-1")) == ann
    assert required_owner(get, {"customer"}, "user:ann", GetOrder(order_id="o-1")) == ann
    assert required_owner(get, {"service"}, "user:ann", GetOrder(order_id="o-1")) is None
    assert ann.owns(OrderState(customer_id="ann"))
    assert ann.owns(OrderSummary(customer_id="ann"))
    for other in (OrderState(), OrderState(customer_id="bob"), PlaceOrder(order_id="ann")):
        assert not ann.owns(other)


def test_versions_are_told_to_those_alone_whose_the_aggregate_is() -> None:
    place, cancel = REGISTRY.command("orders.v1.PlaceOrder"), REGISTRY.command("orders.v1.CancelOrder")
    assert hides_versions(place, {"customer"}, place.id_field)
    # The aggregate itself is the caller's then.
    assert not hides_versions(place, {"customer"}, "customer_id")
    assert not hides_versions(place, {"customer", "service"}, place.id_field)
    assert not hides_versions(cancel, {"customer"}, cancel.id_field)


def test_nothing_belongs_to_nobody() -> None:
    """Whoever may start workflows may send an owner without a subject, or without fields."""
    assert not Owner("", ("customer_id",)).owns(OrderState())
    assert not Owner("ann", ()).owns(OrderState(customer_id="ann"))
    assert not Owner("ann", ("elsewhere",)).owns(OrderState(customer_id="ann"))
