"""The declaration of the shipping context: all that the platform needs to run it."""

from __future__ import annotations

from intent.model import Context

from shipping.aggregates import OrderNote, Parcel
from shipping.carrier import SimulatedCarrier
from shipping.consumers import NoteOrders
from shipping.ports import CARRIER, SIMULATION
from shipping.projections import KnownOrders, ParcelViews
from shipping.queries import ShippingQueries
from shipping.sagas import BookParcel, SimulateCarrier

__all__ = ["context"]

_carrier = SimulatedCarrier.from_environment()

context = Context(
    "shipping",
    aggregates=[Parcel, OrderNote],
    projections=[ParcelViews, KnownOrders],
    sagas=[BookParcel, SimulateCarrier],
    ports=[CARRIER.served_by(_carrier.book), SIMULATION.served_by(_carrier.plan)],
    consumers=[NoteOrders],
    queries=ShippingQueries,
)
