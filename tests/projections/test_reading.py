"""What queries read: rows by key, pages by filter, nothing of another tenant."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Sequence

import asyncpg
import pytest
from google.protobuf.message import Message
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from intent.contracts import Registry
from intent.errors import InvalidCommand, NotFound, StoreUnavailable
from intent.model import Page, QueryContext
from intent.projections import reader
from intent.projections.reader import ReadModels
from intent.read_models.definition import definitions_of
from intent.read_models.paging import Cursor, listing_digest, parse_token, token
from intent.store.postgres import open_pool
from intent_contracts.orders.v1 import GetOrder, ListOrders, OrderList, OrderStatus, OrderSummary, OrderView
from orders.queries import OrderQueries

from ..support.faults import fault
from .cluster import ACME, GLOBEX, Cluster, bound, cancelled, confirmed, placed, until_at

OPEN, CONFIRMED = OrderStatus.ORDER_STATUS_OPEN, OrderStatus.ORDER_STATUS_CONFIRMED
SHAPE = definitions_of(bound())[1].shape


def ids(page: Page[OrderSummary]) -> list[str]:
    return [row.order_id for row in page.rows]


async def every_page(cluster: Cluster, size: int, **where: object) -> list[list[str]]:
    pages, token_ = [], ""
    while True:
        page = await cluster.reader.list(OrderSummary, ACME, where=where, page_size=size, page_token=token_)
        pages.append(ids(page))
        token_ = page.next_page_token
        if not token_:
            return pages


async def fill(cluster: Cluster, orders: int = 7) -> None:
    projections = await cluster.process(bound())
    for n in range(orders):
        events = [placed(f"c-{n % 2}"), *([confirmed()] if n % 3 == 0 else [])]
        position = await cluster.record(f"o-{n}", *events)
    await cluster.record("g-1", placed("c-0"), tenant=GLOBEX)
    await until_at(projections, position + 1)


async def test_pages_are_the_newest_first_and_complete(cluster: Cluster) -> None:
    await fill(cluster)
    newest = [f"o-{n}" for n in reversed(range(7))]

    assert await every_page(cluster, 3) == [newest[:3], newest[3:6], newest[6:]]
    assert await every_page(cluster, 7) == [newest]
    assert await every_page(cluster, 0) == [newest], "0 stands for the usual size"
    assert await every_page(cluster, 100_000) == [newest]


async def test_pages_are_cut_to_what_an_answer_can_hold(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    projections = await cluster.process(bound())
    large = {f"o-{n:02}": [placed("x" * 90_000 if n % 3 else "small")] for n in range(20)}
    await until_at(projections, await cluster.record_many(large))
    newest = [f"o-{n:02}" for n in reversed(range(20))]
    for most_bytes in (1, 100_000, 200_000, 1_000_000):
        monkeypatch.setattr(reader, "_PAGE_BYTES", most_bytes)
        pages = await every_page(cluster, 8)
        assert [order for page in pages for order in page] == newest
        assert max(map(len, pages)) == {1: 1, 100_000: 2, 200_000: 3}.get(most_bytes, 8)


async def test_filters_narrow_alone_and_together(cluster: Cluster) -> None:
    await fill(cluster)
    pages = {
        "customer": await every_page(cluster, 2, customer_id="c-1"),
        "status": await every_page(cluster, 2, status=CONFIRMED),
        "both": await every_page(cluster, 2, customer_id="c-0", status=OPEN),
        "key": await every_page(cluster, 2, order_id="o-4"),
        "nothing": await every_page(cluster, 2, customer_id="c-9"),
        "no filter": await every_page(cluster, 9, customer_id="", status=0),
    }
    assert pages == {
        "customer": [["o-5", "o-3"], ["o-1"]],
        "status": [["o-6", "o-3"], ["o-0"]],
        "both": [["o-4", "o-2"]],
        "key": [["o-4"]],
        "nothing": [[]],
        "no filter": [[f"o-{n}" for n in reversed(range(7))]],
    }


async def test_pages_stay_whole_while_rows_are_added_and_changed(cluster: Cluster) -> None:
    projections = await cluster.process(bound())
    await until_at(projections, await cluster.record_many({f"o-{n:02}": [placed()] for n in range(20)}))
    seen: list[str] = []
    token_ = ""
    for n in range(20, 100):
        page = await cluster.reader.list(OrderSummary, ACME, page_size=3, page_token=token_)
        seen += ids(page)
        token_ = page.next_page_token
        if not token_:
            break
        changes: dict[str, Sequence[Message]] = {f"o-{n:02}": [placed()], seen[-1]: [confirmed()]}
        changes[f"o-{n - 20:02}"] = [cancelled()]
        await until_at(projections, await cluster.record_many(changes))

    assert seen == [f"o-{n:02}" for n in reversed(range(20))]


async def test_a_token_is_valid_only_for_its_filters_and_its_tenant(cluster: Cluster) -> None:
    await fill(cluster)
    page = await cluster.reader.list(OrderSummary, ACME, where={"customer_id": "c-1"}, page_size=1)
    for tenant, where in ((ACME, {"customer_id": "c-0"}), (ACME, {}), (GLOBEX, {"customer_id": "c-1"})):
        with pytest.raises(InvalidCommand) as refused:
            await cluster.reader.list(OrderSummary, tenant, where=where, page_token=page.next_page_token)
        (violation,) = refused.value.violations
        assert violation.field == "page_token"
        assert "other filters" in violation.description


def forged(*document: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(document).encode()).decode().rstrip("=")


DIGEST = listing_digest("order_summary", ACME, {})


@pytest.mark.parametrize(
    "text",
    [
        "x",
        "\N{SNOWMAN}",
        "====",
        forged(),
        forged(DIGEST, 1),
        forged(DIGEST, "1", ["o-1"]),
        forged(DIGEST, True, ["o-1"]),
        forged(DIGEST, -1, ["o-1"]),
        forged(DIGEST, 1 << 64, ["o-1"]),
        forged(DIGEST, 1, "o"),
        forged(DIGEST, 1, [1]),
        forged(DIGEST, 1, ["a", "b"]),
        forged(DIGEST, 1, [None]),
        forged(DIGEST, 1, ["nul \0"]),
        forged(DIGEST, 1, ["half \ud800"]),
        base64.urlsafe_b64encode(b"[" * 100_000).decode(),
    ],
)
async def test_a_forged_token_is_refused(cluster: Cluster, text: str) -> None:
    with pytest.raises(InvalidCommand):
        await cluster.reader.list(OrderSummary, ACME, page_token=text)


@given(st.integers(0, 2**63 - 1), st.text(max_size=20).filter(lambda t: "\0" not in t))
def test_a_token_round_trips(position: int, order: str) -> None:
    cursor = Cursor(position, (order,))
    assert parse_token(token(DIGEST, cursor), DIGEST, SHAPE) == cursor


@given(st.text(max_size=60))
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_the_parser_refuses_any_other_text(text: str) -> None:
    with pytest.raises(InvalidCommand):
        parse_token(text, DIGEST, SHAPE)


async def test_a_field_without_a_column_cannot_be_filtered_by(cluster: Cluster) -> None:
    with pytest.raises(ValueError, match="only by its columns: order_id, customer_id, status"):
        await cluster.reader.list(OrderSummary, ACME, where={"line_count": 1})


async def test_a_key_with_too_many_parts_is_an_error(cluster: Cluster) -> None:
    with pytest.raises(ValueError, match="has the parts order_id"):
        await cluster.reader.get(OrderView, ACME, "o-1", "o-2")


async def test_the_queries_of_a_context_read_the_callers_tenant(cluster: Cluster) -> None:
    await fill(cluster)
    queries = OrderQueries(QueryContext(ACME, "user:ann", cluster.reader))

    view = await queries.answer(GetOrder(order_id="o-1"))
    assert isinstance(view, OrderView)
    assert view.customer_id == "c-1"
    listed = await queries.answer(ListOrders(status=CONFIRMED, page_size=2))
    assert isinstance(listed, OrderList)
    assert [row.order_id for row in listed.orders] == ["o-6", "o-3"]
    assert listed.next_page_token
    with pytest.raises(NotFound) as missing:
        await queries.answer(GetOrder(order_id="g-1"))
    assert missing.value.reason == "ORDER_VIEW_NOT_FOUND"
    assert missing.value.message == "there is no order view g-1"


async def test_a_read_over_a_connection_that_fell_silent_is_unavailable_in_time(cluster: Cluster) -> None:
    await fill(cluster, orders=1)
    pool = await open_pool(cluster.database.query, connections=1, timeout=1.0, read_only=True)
    silent = ReadModels(pool, bound())
    try:
        assert await silent.get(OrderView, ACME, "o-0")
        async with fault(cluster.database, "silence"), asyncio.timeout(30):
            for read in (silent.get(OrderView, ACME, "o-0"), silent.list(OrderSummary, ACME)):
                with pytest.raises(StoreUnavailable):
                    await read
        assert await silent.get(OrderView, ACME, "o-0")
    finally:
        pool.terminate()


async def test_the_tenant_of_a_read_does_not_stay_on_the_connection(cluster: Cluster) -> None:
    await fill(cluster)
    pool = await asyncpg.create_pool(cluster.database.query, min_size=1, max_size=1)
    try:
        reader = type(cluster.reader)(pool, bound())
        assert await reader.get(OrderSummary, ACME, "o-1") is not None
        table = f"{cluster.database.context}.order_summary"
        assert await pool.fetchval(f"select count(*) from {table}") == 0
        assert await pool.fetchval(f"select count(*) from {table}__g1") == 0
    finally:
        await pool.close()


@pytest.mark.parametrize("role", ["query", "service"])
async def test_row_level_security_alone_separates_tenants(cluster: Cluster, role: str) -> None:
    await fill(cluster)
    connection = await asyncpg.connect(
        getattr(cluster.database, role),
        server_settings={"search_path": cluster.database.context, "default_transaction_read_only": "off"},
    )
    try:
        for table in ("order_summary", "order_summary__g1", "order_view", "order_view__g1"):
            await connection.execute("reset intent.tenant")
            assert await connection.fetchval(f"select count(*) from {table}") == 0
            await connection.execute(f"set intent.tenant = '{GLOBEX}'")
            assert [row["order_id"] for row in await connection.fetch(f"select * from {table}")] == ["g-1"]
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(f"delete from {table}")
        for table in ("projections", "projection_generations", "projection_skips"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(f"select * from {table}")
    finally:
        await connection.close()


async def test_even_the_projector_is_limited_to_the_tenant_of_its_connection(cluster: Cluster) -> None:
    await fill(cluster)
    connection = await asyncpg.connect(
        cluster.database.service, server_settings={"search_path": cluster.database.context}
    )
    write = """
        select order_summary__g1_write($2, $2, 0, 0, '', null, 'me',
            array[$1], array['o-9'], array['c-9'], array[1], array['x'::bytea], array[9], array[9],
            array[]::text[], array[]::text[])
    """
    (checkpoint,) = await cluster.sql("select max(position) as position from projection_generations")
    try:
        await connection.execute(f"set role {cluster.database.context}_projector")
        assert await connection.fetchval("select count(*) from order_summary__g1") == 8
        await connection.execute(f"set intent.tenant = '{GLOBEX}'")
        assert await connection.fetchval("select count(*) from order_summary__g1") == 1
        assert await connection.execute("delete from order_summary__g1 where tenant = 'acme'") == "DELETE 0"
        await connection.execute("reset role")
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
            await connection.fetchval(write, ACME, checkpoint["position"])
        assert await connection.fetchval(write, GLOBEX, checkpoint["position"])
    finally:
        await connection.close()


def test_the_registry_gives_every_read_model_a_table() -> None:
    tables = {d.shape.table for d in definitions_of(bound())}
    models = Registry.load().read_models.values()
    assert tables == {model.table for model in models if model.context == "orders"}
