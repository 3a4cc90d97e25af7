"""The declaration of the payments context: all that the platform needs to run it."""

from __future__ import annotations

from intent.model import Context

from payments.aggregates import Payment
from payments.ports import CHARGE
from payments.projections import PaymentViews
from payments.queries import PaymentQueries
from payments.sagas import AuthorizeCharge, CaptureCharge, RefundCharge, VoidCharge
from payments.simulator import SimulatedProvider

__all__ = ["context"]

context = Context(
    "payments",
    aggregates=[Payment],
    projections=[PaymentViews],
    sagas=[AuthorizeCharge, CaptureCharge, RefundCharge, VoidCharge],
    ports=[CHARGE.served_by(SimulatedProvider.from_environment().charge)],
    queries=PaymentQueries,
)
