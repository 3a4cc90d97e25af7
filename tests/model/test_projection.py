"""How projections are declared, and the tables that follow from their read models."""

from __future__ import annotations

from intent.model import DELETE, EventMetadata, Projection, projects
from intent.read_models.shape import TableShape, column_value
from intent.testing import projected
from intent_contracts.orders.v1 import LineChanged, OrderPlaced, OrderSummary, OrderView
from orders.context import context as orders

from ..projections.cluster import REGISTRY


class Base(Projection[OrderView]):
    @projects
    def placed(self, view: OrderView, event: OrderPlaced) -> None: ...


def test_handlers_are_found_by_the_event_that_they_take() -> None:
    class Views(Base):
        version = 3

        @projects(key=lambda event, meta: meta.aggregate_id)
        def changed(self, view: OrderView, event: LineChanged, meta: EventMetadata) -> object:
            return DELETE

    assert (Views.name, Views.version, Views.read_model) == ("Views", 3, OrderView)
    assert set(Views.handlers) == {"orders.v1.OrderPlaced", "orders.v1.LineChanged"}
    assert Views.handlers["orders.v1.LineChanged"].takes_metadata
    assert set(Base.handlers) == {"orders.v1.OrderPlaced"}, "a subclass does not change its base"


def test_what_every_event_does_to_a_row_is_written_once() -> None:
    class Views(Projection[OrderView]):
        @projects
        def placed(self, view: OrderView, event: OrderPlaced) -> None:
            view.customer_id = event.customer_id

        @projects
        def changed(self, view: OrderView, event: LineChanged, meta: EventMetadata) -> object:
            return DELETE if meta.version == 3 else None

        def after(self, view: OrderView, meta: EventMetadata) -> None:
            view.version = meta.version

    placed, changed = OrderPlaced(customer_id="ann"), LineChanged(line_id="a", quantity=1)
    (view,) = projected(Views, "o-1", placed, changed)
    assert view == OrderView(order_id="o-1", customer_id="ann", version=2)
    assert projected(Views, "o-1", placed, changed, changed) == [], "a row that is gone is not changed"


def test_the_table_of_a_read_model_follows_from_its_contract() -> None:
    shape = TableShape.of(REGISTRY.read_models["orders.v1.OrderSummary"])

    assert (shape.table, shape.model) == ("order_summary", OrderSummary)
    assert [(c.name, c.sql_type) for c in shape.columns.values()] == [
        ("order_id", "text"),
        ("customer_id", "text"),
        ("status", "integer"),
    ]
    assert shape.generation(7) == "order_summary__g7"


def test_the_read_models_of_the_orders_context_are_all_written() -> None:
    assert {p.read_model for p in orders.projections} == {OrderView, OrderSummary}


def test_distinct_texts_stay_distinct_in_a_column() -> None:
    texts = ["", "a", "x" * 255, "x" * 256, "x" * 257, "x" * 255 + "y", "a\0", "a\N{REPLACEMENT CHARACTER}"]
    columns = [column_value(text) for text in texts]
    assert len(set(columns)) == len(texts)
    assert all("\0" not in column and len(column) <= 255 for column in columns)
