"""Folds events into rows, to test projections without a database."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar, cast
from uuid import UUID

from google.protobuf.message import Message

from intent.contracts import Registry
from intent.model import Projection, Upcaster, Upcasters
from intent.read_models.folding import Folder
from intent.read_models.shape import TableShape
from intent.records import LogEntry, StoredEvent
from intent.testing.history import COMMAND_ID, RECEIVED_AT, Stored, installed, stored_events

__all__ = ["projected"]

Row = TypeVar("Row", bound=Message)


def projected(
    projection: type[Projection[Row]],
    id: str,  # noqa: A002
    *events: Message | Stored,
    tenant: str = "acme",
    upcasters: Iterable[Upcaster[Any, Any]] = (),
    registry: Registry | None = None,
    first_at: datetime = RECEIVED_AT,
) -> Sequence[Row]:
    """Return the rows into which a projection folds one aggregate's events.

    Example::

        (view,) = projected(OrderViews, "o-1", placed, confirmed)
        assert view.status == OrderStatus.ORDER_STATUS_CONFIRMED

    Args:
        projection: The projection.
        id: The id of the aggregate that recorded the events.
        events: The events, in order.
        tenant: The tenant that it belongs to.
        upcasters: The upcasters of its context, for events from `stored`.
        registry: The contracts; by default all installed ones.
        first_at: When the first event was recorded; each further one follows a second later.

    Raises:
        ContractError: The class is not declared as it should be.
        Exception: What a method of the projection raises.
    """
    projection.declaration_problems.refuse()
    contracts = registry or installed()
    shape = TableShape.of(contracts.read_models[projection.read_model.DESCRIPTOR.full_name])
    folder = Folder(projection(), shape, Upcasters(upcasters, contracts).event)
    entries = [
        _entry(contracts, tenant, id, event, first_at + timedelta(seconds=event.version - 1))
        for event in stored_events(contracts, events)
    ]
    folded = folder.fold(folder.plan(0, entries), {})
    if folded.failure is not None:
        raise folded.failure.error
    model = cast("type[Row]", projection.read_model)
    return [model.FromString(upsert.data) for upsert in folded.changes.upserts]


def _entry(registry: Registry, tenant: str, id_: str, event: StoredEvent, at: datetime) -> LogEntry:
    contract = registry.events.get(event.type)
    return LogEntry(
        position=event.version,
        tenant=tenant,
        aggregate_type=contract.aggregate if contract else "",
        aggregate_id=id_,
        version=event.version,
        event_id=UUID(int=event.version),
        type=event.type,
        schema_version=event.schema_version,
        data=event.data,
        command_id=COMMAND_ID,
        correlation_id="test",
        causation_id="",
        actor="user:test",
        traceparent="",
        recorded_at=at,
    )
