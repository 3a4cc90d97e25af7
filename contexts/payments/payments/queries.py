"""The queries about payments."""

from __future__ import annotations

from intent.model import Queries, answers
from intent_contracts.payments.v1 import GetPayment, ListPayments, PaymentList, PaymentView

__all__ = ["PaymentQueries"]


class PaymentQueries(Queries):
    """The queries of the context."""

    @answers
    async def get_payment(self, query: GetPayment) -> PaymentView:
        return await self.get(PaymentView, query.payment_id)

    @answers
    async def list_payments(self, query: ListPayments) -> PaymentList:
        page = await self.list(
            PaymentView,
            where={"order_id": query.order_id, "status": query.status},
            page_size=query.page_size,
            page_token=query.page_token,
        )
        return PaymentList(payments=page.rows, next_page_token=page.next_page_token)
