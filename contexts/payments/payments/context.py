"""The declaration of the payments context: all that the platform needs to run it."""

from __future__ import annotations

from intent.context import Context

from payments.aggregates import Payment
from payments.projections import PaymentViews
from payments.queries import PaymentQueries

__all__ = ["context"]

context = Context("payments", aggregates=[Payment], projections=[PaymentViews], queries=PaymentQueries)
