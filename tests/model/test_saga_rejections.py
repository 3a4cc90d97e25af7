"""The rejections that a saga counts on are those that the contracts of its commands declare."""

from __future__ import annotations

import dataclasses

import pytest
from google.protobuf.message import Message
from intent.contracts import Registry
from intent.errors import ContractError, SagaFailure, StepRejected, StepTimedOut
from intent.sagas import Compensation, Saga
from intent_contracts import inventory, shipping
from intent_contracts.inventory.v1 import Reason as InventoryReason
from intent_contracts.inventory.v1 import ReleaseStock, ShipOutStock
from intent_contracts.orders.v1 import CheckoutStarted, ConfirmOrder, Reason, ShipOrder
from intent_contracts.payments.v1 import PaymentAuthorized
from intent_contracts.shipping.v1 import CancelParcel
from intent_contracts.shipping.v1 import reasons as shipping_reasons
from orders.context import context
from orders.fulfilment import Fulfilment

RELEASE = ReleaseStock(warehouse_id="w-1", reservation_id="o-1")
GONE = {"PARCEL_HANDED_OVER", "PARCEL_DELIVERED"}
MISSPELT = "RESERVATION_NOT_FUOND"
order_gone = "NO_SUCH_REASON"
MISSPELT_TOO = frozenset({InventoryReason.RESERVATION_NOT_FOUND, MISSPELT})


def contradictions(saga: type[Saga]) -> tuple[str, ...]:
    """Return what is wrong with a saga of the contract `orders.v1.FulfilOrder`."""
    try:
        dataclasses.replace(context, sagas=(saga,)).bind(Registry.load())
    except ContractError as refused:
        return refused.problems
    return ()


class CountsOnWhatIsDeclared(Saga):
    """Counts on declared reasons in every way that can be read."""

    name = "FulfilOrder"
    _LATE = (Reason.ORDER_COMPLETED, "ORDER_CANCELLED")

    async def run(self, started: CheckoutStarted) -> None:
        order = Fulfilment("o-1", started)
        await self._reserve(order)
        await self.execute(ConfirmOrder(order_id="o-1"), accepts={Reason.ORDER_ALREADY_CONFIRMED})
        await self.execute(order.ship(), accepts={*self._LATE, "ORDER_ALREADY_SHIPPED"})
        await self.execute(order.cancel_parcel(), accepts=GONE | {shipping_reasons.Reason.PARCEL_RETURNED})
        await self.execute(inventory.v1.ShipOutStock(), accepts=frozenset(["WAREHOUSE_NOT_FOUND"]))

    async def _reserve(self, order: Fulfilment) -> None:
        release = Compensation(RELEASE, accepts={"RESERVATION_NOT_FOUND", "INTERNAL"})
        accepted = {InventoryReason.TOO_MANY_RESERVATIONS}
        await self.execute(order.reserve(), compensate=release, accepts=accepted)
        try:
            await self.execute(order.cancel_parcel())
        except StepRejected as rejected:
            match rejected.reason:
                case "PARCEL_HANDED_OVER" | shipping.v1.Reason.PARCEL_DELIVERED:
                    return
            if rejected.reason == "EVENT_TOO_LARGE" or rejected.reason not in GONE:
                raise


class LeftAlone(Saga):
    """Counts on what its source does not say, and on reasons of other failures."""

    name = "FulfilOrder"

    async def run(self, started: CheckoutStarted) -> None:
        await self._bring_about(ConfirmOrder(order_id="o-1"), "NO_SUCH_REASON")
        try:
            await self.wait_for(PaymentAuthorized)
        except StepTimedOut as late:
            if late.reason != "TIMED_OUT":
                raise
        try:
            await self.execute(RELEASE)
        except SagaFailure as failure:
            if failure.reason != "INTERRUPTED":
                raise

    async def _bring_about(self, command: Message, *already: str) -> None:
        order_gone = already[0]
        try:
            await self.execute(command)
        except StepRejected as rejected:
            if rejected.reason not in already and rejected.reason != order_gone:
                raise


def test_declared_reasons_are_counted_on() -> None:
    assert contradictions(CountsOnWhatIsDeclared) == ()


def test_what_the_source_does_not_say_is_left_alone() -> None:
    assert contradictions(LeftAlone) == ()


class AcceptsOfAStep(Saga):
    name = "FulfilOrder"

    async def run(self, started: CheckoutStarted) -> None:
        await self.execute(ShipOutStock(reservation_id="r"), accepts={"RESERVATION_NOT_FUOND"})


class AcceptsOfACompensation(Saga):
    name = "FulfilOrder"

    async def run(self, started: CheckoutStarted) -> None:
        command = self._release()
        self.compensate_with(Compensation(command, accepts=MISSPELT_TOO))

    @staticmethod
    def _release() -> ReleaseStock:
        return RELEASE


class AcceptsOfAnotherCommand(Saga):
    name = "FulfilOrder"

    async def run(self, started: CheckoutStarted) -> None:
        order = Fulfilment("o-1", started)
        await self.execute(order.ship_out() if started.lines else order.release(), accepts={"OUT_OF_STOCK"})


class Compares(Saga):
    name = "FulfilOrder"

    async def run(self, started: CheckoutStarted) -> None:
        try:
            await self.execute(CancelParcel(parcel_id="p"))
        except StepRejected as rejected:
            if "PARCEL_LEFT" == rejected.reason:  # noqa: SIM300
                return
            raise


class ComparesInAMixin:
    async def step(self, saga: Saga) -> None:
        try:
            await saga.execute(CancelParcel(parcel_id="p"))
        except StepRejected as rejected:
            if rejected.reason in {"PARCEL_HANDED_OVER", "PARCEL_LEFT"}:
                return
            raise


class ComparesOfAnyCommand(ComparesInAMixin, Saga):
    name = "FulfilOrder"

    async def run(self, started: CheckoutStarted) -> None:
        await self.step(self)


class SendsAnyCommand(Saga):
    name = "FulfilOrder"

    async def run(self, started: CheckoutStarted) -> None:
        await self._send(ShipOrder(order_id="o-1"))

    async def _send(self, command: Message) -> None:
        await self.execute(command, accepts={"ORDER_ALREADY_SHIPPED", "ORDER_SHIPED"})


NOT_FOUND = (
    "counts on the reason RESERVATION_NOT_FUOND, for which {} is not rejected "
    "(declared: WAREHOUSE_NOT_FOUND, RESERVATION_NOT_FOUND); correct it, or add it "
    "to `rejects` in inventory/v1/commands.proto"
)
ANY = (
    "counts on the reason {}, for which no command that the saga sends is rejected; "
    "correct it, or add it to `rejects` of the command that is meant"
)


@pytest.mark.parametrize(
    ("saga", "problem"),
    [
        (AcceptsOfAStep, "AcceptsOfAStep.run " + NOT_FOUND.format("inventory.v1.ShipOutStock")),
        (
            AcceptsOfACompensation,
            "AcceptsOfACompensation.run " + NOT_FOUND.format("inventory.v1.ReleaseStock"),
        ),
        (
            AcceptsOfAnotherCommand,
            "AcceptsOfAnotherCommand.run counts on the reason OUT_OF_STOCK, for which "
            "inventory.v1.ReleaseStock, inventory.v1.ShipOutStock is not rejected (declared: "
            "WAREHOUSE_NOT_FOUND, RESERVATION_NOT_FOUND); correct it, or add it to `rejects` in "
            "inventory/v1/commands.proto",
        ),
        (
            Compares,
            "Compares.run counts on the reason PARCEL_LEFT, for which shipping.v1.CancelParcel is not "
            "rejected (declared: PARCEL_HANDED_OVER, PARCEL_DELIVERED, PARCEL_RETURNED); correct it, or add "
            "it to `rejects` in shipping/v1/commands.proto",
        ),
        (ComparesOfAnyCommand, "ComparesOfAnyCommand.step " + ANY.format("PARCEL_LEFT")),
        (SendsAnyCommand, "SendsAnyCommand._send " + ANY.format("ORDER_SHIPED")),
    ],
)
def test_an_undeclared_reason_stops_the_start(saga: type[Saga], problem: str) -> None:
    assert contradictions(saga) == (f"{__name__}: {problem}",)
