"""The sagas: each has the payment provider perform one action and records its answer.

The provider knows a payment by the tenant and the payment's id for every action, and each refund
by the refund's id besides. So a repeated call, after a timeout or a crash, has no second effect,
and an authorization can be voided before its answer is known.
"""

from __future__ import annotations

from google.protobuf.message import Message
from intent.model import Saga
from intent_contracts.payments.v1 import (
    AuthorizationRequested,
    CaptureRequested,
    ChargeAction,
    ChargeAnswer,
    ChargeCall,
    RecordAuthorization,
    RecordCapture,
    RecordCaptureDecline,
    RecordDecline,
    RecordRefund,
    RecordVoid,
    RefundRequested,
    VoidRequested,
)

from payments.ports import CHARGE

__all__ = ["AuthorizeCharge", "CaptureCharge", "RefundCharge", "VoidCharge"]


class AuthorizeCharge(Saga):
    """Has the provider hold an amount."""

    async def run(self, requested: AuthorizationRequested) -> None:
        """Call until there is an answer, and record it."""
        answer = await self.call(
            CHARGE,
            ChargeCall(
                action=ChargeAction.CHARGE_ACTION_AUTHORIZE,
                idempotency_key=_charge_key(self),
                authorization_key=_charge_key(self),
                amount=requested.amount,
                card_token=requested.card_token,
            ),
        )
        payment = self.cause.aggregate_id
        if answer.decline_code:
            declined = RecordDecline(payment_id=payment, decline_code=answer.decline_code)
            await _record(self, answer, declined)
        else:
            granted = RecordAuthorization(payment_id=payment, authorization_code=answer.code)
            await _record(self, answer, granted)


class CaptureCharge(Saga):
    """Has the provider charge what it holds."""

    async def run(self, requested: CaptureRequested) -> None:
        """Call until there is an answer, and record it."""
        answer = await self.call(
            CHARGE,
            ChargeCall(
                action=ChargeAction.CHARGE_ACTION_CAPTURE,
                idempotency_key=_charge_key(self),
                authorization_key=_charge_key(self),
                amount=requested.amount,
                charge_code=requested.authorization_code,
            ),
        )
        payment = self.cause.aggregate_id
        if answer.decline_code:
            declined = RecordCaptureDecline(payment_id=payment, decline_code=answer.decline_code)
            await _record(self, answer, declined)
        else:
            await _record(self, answer, RecordCapture(payment_id=payment, capture_code=answer.code))


class RefundCharge(Saga):
    """Has the provider refund an amount."""

    async def run(self, requested: RefundRequested) -> None:
        """Call until there is an answer, and record it; fail when the provider declines."""
        answer = await self.call(
            CHARGE,
            ChargeCall(
                action=ChargeAction.CHARGE_ACTION_REFUND,
                idempotency_key=f"{self.tenant}/{requested.refund_key}",
                authorization_key=_charge_key(self),
                amount=requested.amount,
                charge_code=requested.capture_code,
            ),
        )
        _fail_if_declined(self, answer, "the provider declined the refund")
        payment = self.cause.aggregate_id
        given_back = RecordRefund(payment_id=payment, refund_id=requested.refund_id, refund_code=answer.code)
        await _record(self, answer, given_back)


class VoidCharge(Saga):
    """Has the provider release what it holds, or would hold once the authorization arrives."""

    async def run(self, requested: VoidRequested) -> None:
        """Call until there is an answer, and record it; fail when the provider declines."""
        answer = await self.call(
            CHARGE,
            ChargeCall(
                action=ChargeAction.CHARGE_ACTION_VOID,
                idempotency_key=_charge_key(self),
                authorization_key=_charge_key(self),
                charge_code=requested.authorization_code,
            ),
        )
        _fail_if_declined(self, answer, "the provider declined the void")
        await _record(self, answer, RecordVoid(payment_id=self.cause.aggregate_id))


def _charge_key(saga: Saga) -> str:
    """Return the key by which the provider knows the payment in every action."""
    return f"{saga.tenant}/{saga.cause.aggregate_id}"


def _fail_if_declined(saga: Saga, answer: ChargeAnswer, words: str) -> None:
    """Fail a saga whose declined call nobody waits for: an operator must see it."""
    if answer.decline_code:
        saga.fail(answer.decline_code, words)


async def _record(saga: Saga, answer: ChargeAnswer, command: Message) -> None:
    """Record an answer as often as the provider delivers it."""
    for _ in range(max(1, answer.deliveries)):
        await saga.execute(command)
