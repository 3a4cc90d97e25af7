"""Answers that are cut to what gRPC carries, and how a client gets the rest."""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from intent.errors import InvalidCommand, Rejected
from intent.model import Page
from intent.service.servicers.pages import page_token, parse_page_token
from intent_contracts.intent.v1 import ReadStreamRequest, ReadStreamResponse
from intent_contracts.orders.v1 import ListOrders, OrderSummary

from ..store.builders import command, event, key, to
from .support import Served
from .wire import call

READ_STREAM = "/intent.v1.Events/ReadStream"
LIST = "/orders.v1.Orders/ListOrders"
LARGE = 240_000


async def fill(orders: Served, count: int = 20) -> None:
    large = [event(bytes(LARGE)) for _ in range(count)]
    await orders.store.append([to(key("o-1"), 0, command(large))])


async def test_a_stream_of_large_events_is_read_in_pages(orders: Served) -> None:
    await fill(orders)
    request = ReadStreamRequest(aggregate_type="Order", aggregate_id="o-1")
    versions: list[int] = []
    while True:
        answer = await call(orders, READ_STREAM, request.SerializeToString())
        assert answer.code is grpc.StatusCode.OK
        assert len(answer.data) < 3.5 * 1024 * 1024
        page = ReadStreamResponse.FromString(answer.data)
        assert page.version == 20
        versions += [event.version for event in page.events]
        assert page.more == (versions[-1] < 20)
        if not page.more:
            break
        request.after_version = versions[-1]
    assert versions == list(range(1, 21))


async def test_the_client_reads_on_until_it_has_what_was_asked_for(orders: Served) -> None:
    await fill(orders)
    client = orders.client()
    whole = await client.read_stream("Order", "o-1")
    assert ([event.version for event in whole.events], whole.more) == (list(range(1, 21)), False)
    part = await client.read_stream("Order", "o-1", after_version=1, limit=15)
    assert ([event.version for event in part.events], part.more) == (list(range(2, 17)), True)
    assert (await client.read_stream("Order", "o-1", after_version=20)).more is False


async def test_an_answer_that_cannot_be_sent_is_named_as_such(
    orders: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def listed(*arguments: Any, **named: Any) -> Page[OrderSummary]:
        return Page([OrderSummary(order_id="x" * LARGE) for _ in range(20)], "")

    monkeypatch.setattr(orders.read_models, "list", listed)
    answer = await call(orders, LIST, ListOrders().SerializeToString())
    assert (answer.code, answer.info.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "ANSWER_TOO_LARGE")
    assert answer.info.metadata["limit"] == str(4 * 1024 * 1024)
    with pytest.raises(Rejected, match="smaller page") as caught:
        await orders.client().query(ListOrders(), timeout=30)
    assert caught.value.reason == "ANSWER_TOO_LARGE"


@pytest.mark.parametrize(
    "token",
    [
        b"\xff",
        b"{}",
        b"1",
        b"[1",
        b'["a"]',
        b'["a",1]',
        b'["a","b",1]',
        b'["a","\\ud800",1]',
        b'["a","b",-1]',
        b'["a","b",true]',
        b'["a","b",9223372036854775808]',
        b"[" * 5000,
        page_token(["a"]),
    ],
)
def test_a_token_that_was_not_made_here_is_refused(token: bytes) -> None:
    if token == b'["a","b",1]':
        assert parse_page_token(token, (str, str, int)) == ["a", "b", 1]
        return
    with pytest.raises(InvalidCommand) as caught:
        parse_page_token(token, (str, str, int))
    assert [violation.field for violation in caught.value.violations] == ["page_token"]


def test_without_a_token_a_list_starts_with_its_first_row() -> None:
    assert parse_page_token(b"", (str, int)) is None
    assert parse_page_token(page_token(["ü\n", 7]), (str, int)) == ["ü\n", 7]
