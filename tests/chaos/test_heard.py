"""What sagas heard is compared with the logs: the comparison itself, on a real Temporal server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import uuid4

import pytest
from google.protobuf.message import Message
from intent.contracts import saga_id
from intent.dev.services import TemporalServer
from intent.temporal import data_converter, names
from intent_contracts.intent.v1 import RecordedEvent, SagaInput
from intent_contracts.orders.v1 import CancellationRequested, CheckoutStarted, FulfilOrder, OrderCancelled
from temporalio.client import Client

from .heard import misheard

EVENTS: Sequence[type[Message]] = (CheckoutStarted, CancellationRequested, OrderCancelled)


def recorded(order: str, version: int) -> RecordedEvent:
    return RecordedEvent(
        event_id=f"{order}-{version}",
        type=EVENTS[version - 1].DESCRIPTOR.full_name,
        tenant_id="shop",
        aggregate_type="Order",
        aggregate_id=order,
        version=version,
    )


def log(order: str) -> list[Mapping[str, Any]]:
    return [
        {
            "tenant": "shop",
            "aggregate_type": "Order",
            "aggregate_id": order,
            "type": event.DESCRIPTOR.full_name,
            "version": version,
            "data": b"",
        }
        for version, event in enumerate(EVENTS, start=1)
    ]


@pytest.mark.parametrize(
    ("started", "signalled", "well"),
    [
        ([1], [2, 3], True),
        ([1], [1, 2, 2], True),
        ([], [1], True),
        ([1], [3, 2], False),
        ([1], [3], False),
        ([], [2, 3], False),
    ],
    ids=["all", "repeated", "the end came first", "overtaken", "one is missing", "the first is missing"],
)
async def test_what_a_saga_heard_is_the_beginning_of_what_is_for_it(
    temporal: TemporalServer, started: Sequence[int], signalled: Sequence[int], well: bool
) -> None:
    client = await Client.connect(temporal.address, data_converter=data_converter)
    order, type_ = uuid4().hex, FulfilOrder.DESCRIPTOR.full_name
    id_ = saga_id(type_, "shop", order)
    events = [recorded(order, version) for version in started]
    given = SagaInput(events=events)
    saga = await client.start_workflow(type_, given, id=id_, task_queue="nobody")
    for version in signalled:
        await saga.signal(names.SAGA_SIGNAL, recorded(order, version))
    wrong = await misheard(temporal.address, [log(order)], [id_])
    assert bool(wrong) is not well, wrong
    await saga.terminate()
