"""What the demo orders."""

from __future__ import annotations

from collections import Counter

from intent.contracts import validate

from demo.plan import SCARCE, Fate, planned


def test_a_plan_follows_from_its_seed() -> None:
    assert planned("a", tenants=3, orders=200, seed=7) == planned("a", tenants=3, orders=200, seed=7)
    assert planned("a", tenants=3, orders=200, seed=7) != planned("a", tenants=3, orders=200, seed=8)


def test_every_order_is_one_that_the_contracts_allow_and_has_an_id_of_its_own() -> None:
    plan = planned("a", tenants=3, orders=300, seed=1)
    for wish in plan.wishes:
        validate(wish.command)
    assert len({wish.command.order_id for wish in plan.wishes}) == 300
    other = planned("b", tenants=3, orders=300, seed=1)
    ids = {wish.command.order_id for wish in (*plan.wishes, *other.wishes)}
    assert len(ids) == 600


def test_everything_that_can_go_wrong_is_among_it_for_every_tenant() -> None:
    plan = planned("a", tenants=3, orders=300, seed=1)
    assert {wish.tenant for wish in plan.wishes} == {"shop-1", "shop-2", "shop-3"}
    assert {wish.fate for wish in plan.wishes} == set(Fate)


def test_there_is_enough_of_everything_but_what_is_scarce() -> None:
    plan = planned("a", tenants=2, orders=300, seed=1)
    for tenant, stock in plan.stock.items():
        wanted: Counter[str] = Counter()
        for wish in plan.wishes:
            if wish.tenant == tenant:
                wanted.update(wish.quantities)
        assert {sku for sku in stock if stock[sku] < wanted[sku]} == {SCARCE}
