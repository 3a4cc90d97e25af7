"""The reactions of a consumer to events, to test it without the context that records them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from uuid import UUID

from google.protobuf.message import Message
from intent_contracts.intent.v1 import RecordedEvent

from intent.contracts import Registry
from intent.model import Consumer, react
from intent.testing.history import COMMAND_ID, RECEIVED_AT, installed

__all__ = ["reactions"]


def reactions(
    consumer: type[Consumer],
    id: str,  # noqa: A002
    *events: Message,
    tenant: str = "acme",
    registry: Registry | None = None,
) -> Sequence[Message]:
    """Return the commands that follow from events of one aggregate.

    Example::

        noted = NoteOrder(order_id="o-1", customer_id="ann", line_count=1)
        assert reactions(NoteOrders, "o-1", placed) == [noted]

    Args:
        consumer: The consumer.
        id: The id of the aggregate that recorded the events.
        events: The events, in order.
        tenant: The tenant that it belongs to.
        registry: The contracts; by default all installed ones.

    Raises:
        ContractError: The class is not declared as it should be.
        UnknownType: A message is no event.
        Exception: What a method of the consumer raises.
    """
    consumer.declaration_problems.refuse()
    recorded = [
        _recorded(registry or installed(), tenant, id, version, event)
        for version, event in enumerate(events, start=1)
    ]

    async def handled() -> list[Message]:
        instance = consumer()
        return [intended.command for event in recorded for intended in await react(instance, event)]

    return asyncio.run(handled())


def _recorded(registry: Registry, tenant: str, id_: str, version: int, event: Message) -> RecordedEvent:
    contract = registry.event(event.DESCRIPTOR.full_name)
    recorded = RecordedEvent(
        position=version,
        context=contract.context,
        tenant_id=tenant,
        aggregate_type=contract.aggregate,
        aggregate_id=id_,
        version=version,
        event_id=str(UUID(int=version)),
        type=contract.type,
        schema_version=contract.version,
        data=event.SerializeToString(),
        command_id=str(COMMAND_ID),
        correlation_id="test",
        actor="user:test",
    )
    recorded.recorded_at.FromDatetime(RECEIVED_AT)
    return recorded
