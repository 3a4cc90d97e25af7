"""What belongs to an owner is narrowed in the database: no row of anybody else leaves it."""

from __future__ import annotations

import pytest
from intent.contracts import Owner
from intent.errors import InvalidCommand
from intent_contracts.orders.v1 import OrderStatus, OrderSummary, OrderView

from .cluster import ACME, GLOBEX, Cluster, bound, confirmed, placed, until_at

ANN = Owner("ann", ("customer_id",))
EVE = Owner("eve", ("customer_id",))


async def fill(cluster: Cluster) -> None:
    """Place five orders of two customers in turn, and one of a namesake at another tenant."""
    projections = await cluster.process(bound())
    for n in range(5):
        position = await cluster.record(f"o-{n}", placed("ann" if n % 2 == 0 else "eve"))
    await cluster.record("o-4", confirmed())
    await cluster.record("g-1", placed("ann"), tenant=GLOBEX)
    await until_at(projections, position + 2)


async def listed(cluster: Cluster, owner: Owner, size: int = 50, **where: object) -> list[list[str]]:
    """Return the ids of an owner's orders, page by page."""
    pages, token = [], ""
    while True:
        page = await cluster.reader.list(
            OrderSummary, ACME, where=where, page_size=size, page_token=token, owner=owner
        )
        pages.append([row.order_id for row in page.rows])
        token = page.next_page_token
        if not token:
            return pages


async def test_rows_of_others_are_as_if_they_did_not_exist(cluster: Cluster) -> None:
    await fill(cluster)
    for model in (OrderView, OrderSummary):
        assert await cluster.reader.get(model, ACME, "o-1") is not None
        assert await cluster.reader.get(model, ACME, "o-1", owner=EVE) is not None
        for order in ("o-1", "o-9"):
            assert await cluster.reader.get(model, ACME, order, owner=ANN) is None
        assert await cluster.reader.get(model, GLOBEX, "o-0", owner=ANN) is None


async def test_lists_hold_what_is_the_owners_whatever_is_asked_for(cluster: Cluster) -> None:
    await fill(cluster)
    assert await listed(cluster, ANN) == [["o-4", "o-2", "o-0"]]
    assert await listed(cluster, ANN, 2) == [["o-4", "o-2"], ["o-0"]]
    assert await listed(cluster, ANN, customer_id="ann", status=OrderStatus.ORDER_STATUS_OPEN) == [
        ["o-2", "o-0"]
    ]
    assert await listed(cluster, ANN, customer_id="eve") == [[]]
    assert await listed(cluster, Owner("", ("customer_id",))) == [[]]
    # Either of two columns, as for a caller with two roles.
    assert await listed(cluster, Owner("ann", ("customer_id", "order_id"))) == [["o-4", "o-2", "o-0"]]
    assert await listed(cluster, Owner("o-1", ("customer_id", "order_id"))) == [["o-1"]]


async def test_a_page_token_is_its_owners(cluster: Cluster) -> None:
    await fill(cluster)
    page = await cluster.reader.list(OrderSummary, ACME, page_size=1, owner=ANN)
    for owner in (EVE, None, Owner("ann", ("customer_id", "order_id"))):
        with pytest.raises(InvalidCommand) as refused:
            await cluster.reader.list(OrderSummary, ACME, page_token=page.next_page_token, owner=owner)
        assert refused.value.reason == "PAGE_TOKEN_INVALID"


async def test_what_nothing_says_whose_it_is_cannot_be_read_by_an_owner(cluster: Cluster) -> None:
    for fields in (("cancel_reason",), ("customer_id", "elsewhere"), ()):
        owner = Owner("ann", fields)
        with pytest.raises(ValueError, match="that says whose a row is"):
            await cluster.reader.get(OrderView, ACME, "o-1", owner=owner)
        with pytest.raises(ValueError, match="that says whose a row is"):
            await cluster.reader.list(OrderView, ACME, owner=owner)
