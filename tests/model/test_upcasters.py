"""Older events and states are read at their current schema version, or refused by name."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from intent.contracts import Problems, Registry
from intent.errors import ContractError, NewerReleaseNeeded, StoreError
from intent.model import Upcaster, Upcasters, upcasts
from intent_contracts.orders.v1 import OrderPlaced

from ..contracts.protos import Proto, registry, text
from .messages import ORDERS, upcaster


def _shop(version: int = 3, state_version: int = 2) -> Registry:
    return registry(
        Proto()
        .message("CartState", text("owner"), state={"aggregate": "Cart", "version": state_version})
        .message("Opened", text("owner"), event={"aggregate": "Cart", "version": version})
        .message("Begun", text("who"))
        .message("Closed", text("owner"), event={"aggregate": "Cart", "version": 1})
    )


SHOP = _shop()
OPENED = SHOP.events["shop.v1.Opened"].message
FILE: Any = OPENED.DESCRIPTOR.file
BEGUN: Any = GetMessageClass(FILE.message_types_by_name["Begun"])
STATE = SHOP.states["shop.v1.CartState"].message


def _append(word: str) -> Any:
    def change(message: Any) -> Any:
        message.owner += word
        return message

    return change


def _problems(*upcasters: Upcaster[Any, Any], contracts: Registry = SHOP) -> list[str]:
    problems = Problems()
    Upcasters(upcasters, contracts, problems).check("shop", problems)
    return [str(problem).partition(": ")[2] for problem in problems]


def _opened(owner: str) -> bytes:
    data: bytes = OPENED(owner=owner).SerializeToString()
    return data


ONE = upcaster(OPENED, OPENED, 1, function=_append(" one"))
TWO = upcaster(OPENED, OPENED, 2, function=_append(" two"))


@pytest.mark.parametrize(("version", "owner"), [(1, "ann one two"), (2, "ann two"), (3, "ann")])
def test_upcasters_are_chained_from_the_stored_version_on(version: int, owner: str) -> None:
    chain = Upcasters([TWO, ONE], SHOP)
    type_, event = chain.event("shop.v1.Opened", version, _opened("ann"))
    assert (type_, event) == ("shop.v1.Opened", OPENED(owner=owner))


def test_an_upcaster_may_skip_versions() -> None:
    direct = upcaster(OPENED, OPENED, 1, 3, _append(" direct"))
    _, event = Upcasters([direct, TWO], SHOP).event("shop.v1.Opened", 1, _opened("ann"))
    assert event == OPENED(owner="ann direct")
    assert _problems(direct, TWO) == []


def _begun_to_opened(begun: Any) -> Message:
    return OPENED(owner=begun.who)


def test_an_event_can_be_renamed_and_then_upcast_further() -> None:
    renamed = upcaster(BEGUN, OPENED, 1, 2, _begun_to_opened)
    type_, event = Upcasters([renamed, TWO], SHOP).event(
        "shop.v1.Begun", 1, BEGUN(who="ann").SerializeToString()
    )
    assert (type_, event) == ("shop.v1.Opened", OPENED(owner="ann two"))


def test_an_event_that_is_upcast_to_another_needs_no_applier() -> None:
    closed = SHOP.events["shop.v1.Closed"].message
    chain = Upcasters([upcaster(closed, OPENED, 1, 3, lambda old: OPENED(owner=old.owner)), ONE, TWO], SHOP)
    assert chain.retired("shop.v1.Closed")
    assert not chain.retired("shop.v1.Opened")


def test_a_version_without_chain_is_refused_by_name() -> None:
    with pytest.raises(StoreError, match=r"shop\.v1\.Opened version 1 is unknown: no upcaster leads"):
        Upcasters([TWO], SHOP).event("shop.v1.Opened", 1, b"")


@pytest.mark.parametrize(("type_", "version"), [("shop.v1.Opened", 9), ("shop.v1.Invented", 1)])
def test_what_a_newer_release_recorded_is_left_to_it(type_: str, version: int) -> None:
    with pytest.raises(NewerReleaseNeeded, match=f"{type_} version {version} is unknown to this release"):
        Upcasters([ONE, TWO], SHOP).event(type_, version, b"")


def test_a_state_is_upcast_when_a_chain_leads_there_and_ignored_otherwise() -> None:
    data = STATE(owner="ann").SerializeToString()
    with_chain = Upcasters([upcaster(STATE, STATE, 1, function=_append(" one"))], SHOP)
    assert with_chain.state("shop.v1.CartState", 1, data) == STATE(owner="ann one")
    assert Upcasters([], SHOP).state("shop.v1.CartState", 1, data) is None
    assert Upcasters([], SHOP).state("shop.v1.CartState", 2, data) == STATE(owner="ann")


def test_a_gap_in_the_chain_is_refused() -> None:
    hole = "shop.v1.Opened is at version 3, but no upcaster leads there from {}; "
    fix = "declare an upcaster from each older version and name it in the context's upcasters"
    assert _problems() == [hole.format("1, 2") + fix]
    assert _problems(TWO) == [hole.format("1") + fix]
    assert _problems(ONE) == [hole.format("1, 2") + fix]
    assert _problems(ONE, TWO) == []


def test_an_upcaster_must_fit_the_contracts() -> None:
    found = "\n".join(
        _problems(
            ONE,
            TWO,
            upcaster(OPENED, OPENED, 1, 3),
            upcaster(OPENED, OPENED, 3),
            upcaster(OPENED, OPENED, 2, 2),
            upcaster(OPENED, BEGUN, 7),
        )
    )
    assert "upcasts shop.v1.Opened version 1, which another upcaster takes already" in found
    assert "makes shop.v1.Opened version 4, but the contract is at version 3" in found
    assert "leads from shop.v1.Opened version 2 back to version 2" in found
    assert "makes shop.v1.Begun, which is no event or state" in found
    assert "renames shop.v1.Opened but not to which version of shop.v1.Begun; set `to_version`" in found


def test_an_upcaster_must_say_what_it_takes_and_returns() -> None:
    @upcasts(from_version=1)
    def untyped(old):  # type: ignore[no-untyped-def]
        return old

    with pytest.raises(ContractError, match="untyped does not say what it upcasts"):
        Upcasters([untyped], ORDERS)


def test_an_upcaster_takes_one_message() -> None:
    @upcasts(from_version=1)  # type: ignore[arg-type]
    def taking_nothing() -> OrderPlaced:
        return OrderPlaced()

    with pytest.raises(ContractError, match="it has 0 parameters; let it take one message"):
        Upcasters([taking_nothing], ORDERS)


def test_upcasters_that_lead_in_a_circle_are_no_chain() -> None:
    closed = SHOP.events["shop.v1.Closed"].message
    there = upcaster(OPENED, closed, 1, 1)
    back = upcaster(closed, OPENED, 1, 1)
    with pytest.raises(StoreError):
        Upcasters([there, back], SHOP).event("shop.v1.Opened", 1, b"")


def test_an_upcaster_can_be_called_by_itself() -> None:
    @upcasts(from_version=1)
    def with_customer(old: OrderPlaced) -> OrderPlaced:
        old.customer_id = "ann"
        return old

    assert with_customer(OrderPlaced()) == OrderPlaced(customer_id="ann")
    assert (with_customer.source, with_customer.target) == (
        ("orders.v1.OrderPlaced", 1),
        ("orders.v1.OrderPlaced", 2),
    )
