"""A projection that changes the event that it is given, changes it for nobody else."""

from __future__ import annotations

from intent.contracts import Registry
from intent.model import Projection, Upcasters, projects
from intent.read_models.folding import Folder
from intent.read_models.shape import TableShape
from intent.testing import projected
from intent.testing.history import RECEIVED_AT, stored_events
from intent.testing.projections import _entry
from intent_contracts.orders.v1 import LineChanged, OrderCancelled, OrderSummary

from ..testing.test_scenario import PLACED

CHANGED = LineChanged(line_id="l-1", quantity=5)


class Greedy(Projection[OrderSummary]):
    """Uses up what it is given."""

    name = "OrderSummaries"

    @projects(key=lambda event, meta: [event.line_id, "all"])
    def changed(self, row: OrderSummary, event: LineChanged) -> None:
        row.line_count += event.quantity
        event.quantity = 0

    @projects
    def cancelled(self, row: OrderSummary, event: OrderCancelled) -> None:
        raise ValueError("a defect")


def test_each_row_gets_the_event_as_it_was_recorded() -> None:
    rows = projected(Greedy, "o-1", CHANGED, CHANGED)
    assert {row.order_id: row.line_count for row in rows} == {"l-1": 10, "all": 10}


def test_it_is_as_it_was_recorded_when_a_later_event_fails() -> None:
    """As the events before it are then folded once more."""
    contracts = Registry.load()
    shape = TableShape.of(contracts.read_models[OrderSummary.DESCRIPTOR.full_name])
    folder = Folder(Greedy(), shape, Upcasters((), contracts).event)
    events = stored_events(contracts, [PLACED, CHANGED, OrderCancelled(reason="r")])
    entries = [_entry(contracts, "acme", "o-1", event, RECEIVED_AT) for event in events]
    folded = folder.fold(folder.plan(0, entries), {})
    assert folded.failure is not None
    assert folded.position == 2
    counts = [OrderSummary.FromString(upsert.data).line_count for upsert in folded.changes.upserts]
    assert counts == [5, 5]
