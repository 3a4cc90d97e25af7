"""A projection whose code hangs or raises anything at all fails on that event, and nothing else does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from intent.guarding import Doubts, Guard, UnderWay
from intent.model import Projection, projects
from intent.projections.supervisor import ProjectionSettings
from intent_contracts.orders.v1 import OrderPlaced, OrderSummary

from ..support.harm import HARM, MemoryDoubts, quick
from .cluster import Cluster, bound, placed, status, until_at, until_failing

NAME = "OrderSummaries"


def harmful(act: Callable[[], None]) -> type[Projection[Any]]:
    class Harmful(Projection[OrderSummary]):
        name = NAME

        @projects
        def placed(self, row: OrderSummary, event: OrderPlaced) -> None:
            row.customer_id = event.customer_id
            if event.customer_id == "bad":
                act()

    return Harmful


@pytest.mark.parametrize("kind", HARM)
async def test_it_fails_on_that_event_and_the_others_continue(cluster: Cluster, kind: str) -> None:
    projections = await cluster.process(bound(harmful(HARM[kind])), guard=quick())
    position = await cluster.record_many({"o-1": [placed("good")], "o-2": [placed("bad")], "o-3": [placed()]})
    await until_at(projections, position, "OrderViews")
    failing = await until_failing(projections, NAME, attempts=2)
    assert (failing.position, failing.failing_position) == (1, 2)
    assert await cluster.summary("o-1") == OrderSummary(order_id="o-1", customer_id="good")
    await projections.skip(NAME, 2, "a test", "user:ops")
    await until_at(projections, position)


async def test_the_operator_is_told_why(cluster: Cluster) -> None:
    projections = await cluster.process(bound(harmful(HARM["loop"])), guard=quick())
    await cluster.record("o-1", placed("bad"))
    assert "it took longer than 0.3 s" in (await until_failing(projections, NAME)).last_error


async def test_large_pages_are_guarded_too(cluster: Cluster) -> None:
    events = {f"o-{n}": [placed("bad" if n == 700 else "good")] for n in range(1, 801)}
    await cluster.record_many(events)
    settings = ProjectionSettings(page_size=1_000)
    projections = await cluster.process(bound(harmful(HARM["SystemExit"])), settings, guard=quick())
    assert (await until_failing(projections, NAME)).failing_position == 700


async def test_an_event_that_processes_died_of_is_not_tried_again(cluster: Cluster) -> None:
    tries: list[None] = []
    doubts = Doubts(MemoryDoubts())
    await doubts.lost([UnderWay("projection", NAME, "", "2").note] * 3)
    projections = await cluster.process(
        bound(harmful(lambda: tries.append(None))), guard=Guard(doubts=doubts)
    )
    position = await cluster.record_many({"o-1": [placed()], "o-2": [placed("bad")], "o-3": [placed("bad")]})
    failing = await until_failing(projections, NAME)
    assert (failing.position, failing.failing_position) == (1, 2)
    assert "3 processes were lost" in failing.last_error
    assert not tries
    await projections.skip(NAME, 2, "a test", "user:ops")
    await until_at(projections, position)


async def test_a_suspected_event_is_applied_alone_and_cleared(cluster: Cluster) -> None:
    doubts = Doubts(MemoryDoubts())
    await doubts.lost([UnderWay("projection", NAME, "", "2").note])
    position = await cluster.record_many({"o-1": [placed()], "o-2": [placed()], "o-3": [placed()]})
    projections = await cluster.process(bound(harmful(lambda: None)), guard=Guard(doubts=doubts))
    await until_at(projections, position)
    assert (await status(projections, NAME)).lag == 0
    assert not doubts
