"""Sagas of all shapes, under the contract of `orders.v1.FulfilOrder`."""

from __future__ import annotations

import asyncio
import importlib
from datetime import UTC, datetime, timedelta

from intent.errors import ChildFailed, Interrupted, StepRejected, StepTimedOut
from intent.sagas import Compensation, Port, Saga
from intent_contracts.inventory.v1 import Reason, ReleaseStock, ReserveStock, StockLine
from intent_contracts.orders.v1 import (
    AbandonOrder,
    Checkout,
    CheckoutStarted,
    ConfirmOrder,
    Money,
    OrderCancelled,
    OrderLine,
    OrderView,
    Receiver,
)
from intent_contracts.payments.v1 import (
    AuthorizePayment,
    CancelPayment,
    CapturePayment,
    PaymentAuthorized,
    PaymentDeclined,
)
from intent_contracts.payments.v1 import Money as Amount

CHECKOUT = CheckoutStarted(
    customer_id="ann",
    lines=[OrderLine(line_id="1", sku="tea", quantity=2, unit_price=Money(minor_units=450, currency="EUR"))],
    total=Money(minor_units=900, currency="EUR"),
    checkout=Checkout(
        card_token="card",
        warehouse_id="w-1",
        ship_to=Receiver(name="Ann", street="Road 1", postal_code="1", city="Town", country="DE"),
    ),
)
ASK = Port("ask", OrderView, OrderView)

RESERVE = ReserveStock(
    warehouse_id="w-1", reservation_id="o-1", order_id="o-1", lines=[StockLine(sku="tea", quantity=2)]
)
RELEASE = ReleaseStock(warehouse_id="w-1", reservation_id="o-1")
AUTHORIZE = AuthorizePayment(
    payment_id="o-1", order_id="o-1", amount=Amount(minor_units=900, currency="EUR"), card_token="card"
)
UNDO_PAYMENT = CancelPayment(payment_id="o-1", reason="the order failed")
CONFIRM = ConfirmOrder(order_id="o-1")
CAPTURE = CapturePayment(payment_id="o-1")
AUTHORIZED = PaymentAuthorized(order_id="o-1")
DECLINED = PaymentDeclined(order_id="o-1", decline_code="CARD_EXPIRED")
CANCELLED = OrderCancelled(reason="changed my mind")


class Plain(Saga):
    """Two steps with compensations, an event, and a last step."""

    name = "FulfilOrder"

    async def run(self, started: CheckoutStarted) -> None:
        release = Compensation(RELEASE, accepts={Reason.RESERVATION_NOT_FOUND})
        await self.execute(RESERVE, compensate=release)
        await self.execute(AUTHORIZE, compensate=UNDO_PAYMENT)
        answer = await self.wait_for(PaymentAuthorized, PaymentDeclined, timeout=timedelta(hours=1))
        if isinstance(answer, PaymentDeclined):
            self.fail(answer.decline_code, "the card was declined")
        await self.execute(CONFIRM)


class Interruptible(Saga):
    """Can be cancelled until it confirms."""

    name = "FulfilOrder"

    async def run(self, started: CheckoutStarted) -> None:
        with self.interruptible_by(OrderCancelled):
            await self.execute(RESERVE, compensate=RELEASE)
            await self.sleep(timedelta(days=1))
        await self.execute(CONFIRM)


class Forgiving(Saga):
    """Continues in another way after failures."""

    name = "FulfilOrder"

    async def run(self, started: CheckoutStarted) -> None:
        try:
            await self.execute(RESERVE, compensate=RELEASE)
        except StepRejected as rejected:
            self.compensate_with(AbandonOrder(order_id="o-1", reason=rejected.reason))
        try:
            await self.wait_for(PaymentAuthorized, timeout=timedelta(minutes=5))
        except StepTimedOut:
            await self.execute(CAPTURE)
        try:
            with self.interruptible_by(OrderCancelled):
                await self.sleep(timedelta(days=1))
        except Interrupted as interrupted:
            if interrupted.event == CANCELLED:
                await self.execute(CONFIRM)


class Accepting(Saga):
    """Takes some rejections for answers."""

    name = "FulfilOrder"

    async def run(self, started: CheckoutStarted) -> None:
        accepts = {Reason.TOO_MANY_RESERVATIONS}
        while await self.execute(RESERVE, accepts=accepts, compensate=RELEASE) is None:
            await self.sleep(timedelta(minutes=1))
        await self.execute(AUTHORIZE, accepts={"PAYMENT_ALREADY_EXISTS"}, compensate=UNDO_PAYMENT)
        await self.execute(CONFIRM)


class SideBySide(Saga):
    """Reserves and authorizes at the same time."""

    name = "FulfilOrder"

    async def run(self, started: CheckoutStarted) -> None:
        _, paid = await self.parallel(
            self.execute(RESERVE, compensate=RELEASE),
            self._pay(),
        )
        assert paid == "paid"
        await self.execute(CONFIRM)

    async def _pay(self) -> str:
        await self.execute(AUTHORIZE, compensate=UNDO_PAYMENT)
        await self.wait_for(PaymentAuthorized)
        return "paid"


class Committed(Saga):
    """Has a point of no return."""

    name = "FulfilOrder"

    async def run(self, started: CheckoutStarted) -> None:
        self.compensate_with(AbandonOrder(order_id="o-1", reason="it failed"))
        await self.execute(RESERVE, compensate=RELEASE)
        self.commit()
        await self.execute(AUTHORIZE, compensate=UNDO_PAYMENT)
        await self.execute(CONFIRM)


class Asking(Saga):
    """Calls a port."""

    name = "FulfilOrder"

    async def run(self, started: CheckoutStarted) -> None:
        answer = await self.call(ASK, OrderView(order_id=self.correlation))
        if answer.version:
            await self.execute(CONFIRM)


class Child(Plain):
    """Is run by another saga."""

    name = "ChildOfOrder"


class Parent(Saga):
    """Runs a child."""

    name = "FulfilOrder"

    async def run(self, started: CheckoutStarted) -> None:
        await self.execute(RESERVE, compensate=RELEASE)
        try:
            await self.child(Child, started, compensate=UNDO_PAYMENT)
        except ChildFailed as failed:
            self.fail("CHILD", failed.reason)
        await self.execute(CONFIRM)


class Changed(Saga):
    """Was changed while in flight."""

    name = "FulfilOrder"

    async def run(self, started: CheckoutStarted) -> None:
        if self.changed("capture-first"):
            await self.execute(CAPTURE)
        await self.execute(CONFIRM)


class Undeclared(Saga):
    """Sends what its contract does not name."""

    name = "FulfilOrder"

    async def run(self, started: CheckoutStarted) -> None:
        from intent_contracts.orders.v1 import PlaceOrder

        await self.execute(PlaceOrder(order_id="o-2"))


class Long(Saga):
    """Has more steps than the history of one run should hold."""

    name = "FulfilOrder"
    history_limit = 30
    rounds = 20

    async def run(self, started: CheckoutStarted) -> None:
        await self.wait_for(PaymentAuthorized)
        for number in range(self.rounds):
            await self.execute(CONFIRM)
            if number % 5 == 0:
                await self.sleep(timedelta(days=1))
        if not self.changed("never-in-flight"):
            self.fail("UNCHANGED", "the change is known to every run")
        await self.execute(CAPTURE)


class Impure(Saga):
    """Looks at the clock."""

    name = "FulfilOrder"

    async def run(self, started: CheckoutStarted) -> None:
        if datetime.now(UTC).year > 2000:
            await self.execute(CONFIRM)


class Stuck(Saga):
    """Never returns, for some."""

    name = "FulfilOrder"

    async def run(self, started: CheckoutStarted) -> None:
        while self.correlation.startswith("stuck"):
            pass
        await self.execute(RESERVE)


class LoadsLate(Saga):
    """Loads a module when it is needed."""

    name = "FulfilOrder"

    async def run(self, started: CheckoutStarted) -> None:
        importlib.import_module("tests.saga_host.slow_module")
        await self.execute(RESERVE)


class Dozing(Saga):
    """Waits in a way that is no step."""

    name = "FulfilOrder"

    async def run(self, started: CheckoutStarted) -> None:
        await asyncio.sleep(1)


class Hearing(Saga):
    """Hears many events, and says at the end how long their texts were."""

    name = "FulfilOrder"
    history_limit = 10

    async def run(self, started: CheckoutStarted) -> None:
        total = 0
        while (event := await self.wait_for(OrderCancelled)).reason != "the end":
            total += len(event.reason)
        await self.execute(ConfirmOrder(order_id=f"{self.correlation}-{total}"))
