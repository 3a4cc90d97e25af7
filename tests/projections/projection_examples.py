"""Projections that tests use in place of those of the orders context."""

from __future__ import annotations

from intent.model import DELETE, EventMetadata, Projection, projects
from intent_contracts.orders.v1 import LineChanged, OrderCancelled, OrderPlaced, OrderSummary, OrderView
from orders.projections import OrderViews
from orders.values import OPEN


class Counting(Projection[OrderSummary]):
    """Counts the events of an order, so that an event applied twice or never shows."""

    name = "OrderSummaries"

    @projects
    def placed(self, row: OrderSummary, event: OrderPlaced) -> None:
        row.customer_id = event.customer_id
        row.status = OPEN
        row.line_count += 1

    @projects
    def changed(self, row: OrderSummary, event: LineChanged) -> None:
        row.line_count += 1


class Customers(Projection[OrderSummary]):
    """One row per customer, and one for all of a tenant, counting placed orders."""

    name = "OrderSummaries"

    @projects(key=lambda event, meta: ["all", event.customer_id])
    def placed(self, row: OrderSummary, event: OrderPlaced) -> None:
        row.line_count += 1


class OpenOrders(Projection[OrderSummary]):
    """Keeps only orders that are not cancelled; a cancelled one may reappear."""

    name = "OrderSummaries"

    @projects
    def placed(self, row: OrderSummary, event: OrderPlaced) -> None:
        row.customer_id = event.customer_id

    @projects
    def changed(self, row: OrderSummary, event: LineChanged) -> None:
        row.line_count += event.quantity

    @projects
    def cancelled(self, row: OrderSummary, event: OrderCancelled) -> object:
        return DELETE


class Fragile(Projection[OrderSummary]):
    """Fails on customers and lines whose name is in `refused`, after it has changed the row."""

    name = "OrderSummaries"
    refused: set[str] = set()  # noqa: RUF012 - the test corrects the code through it

    @projects
    def placed(self, row: OrderSummary, event: OrderPlaced) -> None:
        row.customer_id = event.customer_id
        row.line_count += 1
        if event.customer_id in self.refused:
            raise ZeroDivisionError(f"cannot take {event.customer_id}")

    @projects
    def changed(self, row: OrderSummary, event: LineChanged) -> None:
        row.line_count += 100
        if event.line_id in self.refused:
            raise ZeroDivisionError(f"cannot take {event.line_id}")


class Second(Projection[OrderSummary]):
    """The next version of the order list: it marks its rows."""

    name = "OrderSummaries"
    version = 2

    @projects
    def placed(self, row: OrderSummary, event: OrderPlaced) -> None:
        row.customer_id = event.customer_id
        row.line_count = 1_000


class Audit(Projection[OrderView]):
    """Stores what the metadata says."""

    name = "OrderViews"
    version = OrderViews.version

    @projects
    def placed(self, view: OrderView, event: OrderPlaced, meta: EventMetadata) -> None:
        view.customer_id = f"{meta.actor} at {meta.position} in {meta.type}"
        view.version = meta.version
        meta.stamp(view.placed_at)


class Unprintable(Projection[OrderSummary]):
    """Fails with an error whose text no database can store."""

    name = "OrderSummaries"

    @projects
    def placed(self, row: OrderSummary, event: OrderPlaced) -> None:
        raise ValueError("half a pair \ud800 and a NUL \0")
