"""Payments end to end: commands, sagas, and the simulated provider with its ledger."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from intent.client import IntentClient
from intent.dev.platform import ContextService, LocalPlatform
from intent.errors import Rejected
from intent_contracts.payments.v1 import (
    AuthorizePayment,
    CancelPayment,
    CapturePayment,
    GetPayment,
    ListPayments,
    Money,
    PaymentList,
    PaymentStatus,
    PaymentView,
    RefundPayment,
)
from payments.ledger import Charge, ProviderLedger

from .support import PATIENCE, calling, standing

AUTHORIZED = PaymentStatus.PAYMENT_STATUS_AUTHORIZED
CAPTURED = PaymentStatus.PAYMENT_STATUS_CAPTURED
REFUNDED = PaymentStatus.PAYMENT_STATUS_REFUNDED
DECLINED = PaymentStatus.PAYMENT_STATUS_DECLINED
VOIDED = PaymentStatus.PAYMENT_STATUS_VOIDED
OVER = (REFUNDED, DECLINED, VOIDED)
CARDS = ("tok-ok", "tok-slow", "tok-timeout", "tok-flaky", "tok-twice")


@pytest.fixture(scope="module")
def books(platform: LocalPlatform) -> ProviderLedger:
    return ProviderLedger(platform.folder / "payments-provider.sqlite3")


@pytest_asyncio.fixture
async def client(payments: ContextService, tenant: str) -> AsyncIterator[IntentClient]:
    async with calling(payments, tenant) as connected:
        yield connected


def authorize(payment: str, card: str = "tok-ok") -> AuthorizePayment:
    amount = Money(minor_units=1000, currency="EUR")
    return AuthorizePayment(payment_id=payment, order_id=f"o-{payment}", amount=amount, card_token=card)


def refund(payment: str, minor_units: int, refund_id: str) -> RefundPayment:
    amount = Money(minor_units=minor_units, currency="EUR")
    return RefundPayment(payment_id=payment, refund_id=refund_id, amount=amount, reason="broken")


async def at(client: IntentClient, payment: str, *statuses: PaymentStatus.ValueType) -> PaymentView:
    return await standing(client, GetPayment(payment_id=payment), PaymentView, statuses)


async def pay(client: IntentClient, payment: str, card: str = "tok-ok") -> None:
    """Authorize and capture, each until the view shows it."""
    await client.execute(authorize(payment, card))
    await at(client, payment, AUTHORIZED)
    await client.execute(CapturePayment(payment_id=payment))
    await at(client, payment, CAPTURED)


def charges(books: ProviderLedger, tenant: str) -> dict[str, Charge]:
    """Return what the provider did for a tenant, by payment."""
    prefix = f"{tenant}/"
    found = (charge for charge in books.charges() if charge.key.startswith(prefix))
    return {charge.key.removeprefix(prefix): charge for charge in found}


async def test_a_payment_is_charged_and_given_back_once_whatever_the_way_to_the_provider_does(
    client: IntentClient, books: ProviderLedger, tenant: str
) -> None:
    async def pay_and_give_back(card: str) -> PaymentView:
        await pay(client, card, card)
        await client.execute(refund(card, 300, "r-1"))
        await client.execute(refund(card, 700, "r-2"))
        return await at(client, card, REFUNDED)

    views = await asyncio.gather(*map(pay_and_give_back, CARDS))
    assert {(view.captured, view.refunded) for view in views} == {(1000, 1000)}
    for charge in charges(books, tenant).values():
        assert (charge.authorizations, charge.captures, charge.refunded) == (1, 1, 1000), charge


async def test_two_payments_may_have_refunds_of_one_name(
    client: IntentClient, books: ProviderLedger, tenant: str
) -> None:
    for payment in ("p-1", "p-2"):
        await pay(client, payment)
        await client.execute(refund(payment, 1000, "r-1"))
    for payment in ("p-1", "p-2"):
        await at(client, payment, REFUNDED)
    assert [charge.net for charge in charges(books, tenant).values()] == [0, 0]


async def test_declines_are_reported(client: IntentClient, books: ProviderLedger, tenant: str) -> None:
    await client.execute(authorize("p-1", "tok-decline-card-expired"))
    assert (await at(client, "p-1", DECLINED)).decline_code == "CARD_EXPIRED"
    await client.execute(authorize("p-2", "tok-capture-declined"))
    await at(client, "p-2", AUTHORIZED)
    await client.execute(CapturePayment(payment_id="p-2"))
    assert (await at(client, "p-2", DECLINED)).decline_code == "AUTHORIZATION_EXPIRED"
    assert {(charge.held, charge.net) for charge in charges(books, tenant).values()} == {(0, 0)}


async def test_a_cancellation_before_the_payment_wins(client: IntentClient) -> None:
    await client.execute(CancelPayment(payment_id="p-1", reason="too late"))
    with pytest.raises(Rejected, match="PAYMENT_CANCELLED"):
        await client.execute(authorize("p-1"))
    assert (await at(client, "p-1", VOIDED)).cancel_reason == "too late"


async def test_cancelled_while_authorizing_nothing_is_held(
    client: IntentClient, books: ProviderLedger, tenant: str
) -> None:
    async def regret(card: str, number: int) -> None:
        payment = f"{card}-{number}"
        await client.execute(authorize(payment, card), applied_only=True)
        await client.execute(CancelPayment(payment_id=payment, reason="changed my mind"))
        await at(client, payment, VOIDED)

    await asyncio.gather(*(regret(card, number) for card in CARDS for number in range(4)))
    for charge in charges(books, tenant).values():
        assert (charge.held, charge.captures) == (0, 0), charge


async def test_cancelled_while_capturing_nothing_is_charged_in_the_end(
    client: IntentClient, books: ProviderLedger, tenant: str
) -> None:
    async def regret(card: str) -> None:
        await client.execute(authorize(card, card))
        await at(client, card, AUTHORIZED)
        await client.execute(CapturePayment(payment_id=card), applied_only=True)
        await client.execute(CancelPayment(payment_id=card, reason="changed my mind"))
        await at(client, card, *OVER)

    await asyncio.gather(*map(regret, (*CARDS, "tok-capture-declined")))
    for charge in charges(books, tenant).values():
        assert (charge.held, charge.net) == (0, 0), charge


async def test_cancelled_after_it_was_charged_in_part_given_back_all_is_given_back(
    client: IntentClient, books: ProviderLedger, tenant: str
) -> None:
    await pay(client, "p-1")
    await client.execute(refund("p-1", 300, "r-1"))
    await client.execute(CancelPayment(payment_id="p-1", reason="all of it"))
    view = await at(client, "p-1", REFUNDED)
    assert (view.refunded, view.cancel_reason) == (1000, "all of it")
    assert charges(books, tenant)["p-1"].net == 0


async def test_payments_are_listed_by_order_and_by_where_they_stand(client: IntentClient) -> None:
    for payment, card in (("p-1", "tok-ok"), ("p-2", "tok-decline-card-expired"), ("p-3", "tok-ok")):
        await client.execute(authorize(payment, card))
    for payment, status in (("p-1", AUTHORIZED), ("p-2", DECLINED), ("p-3", AUTHORIZED)):
        await at(client, payment, status)
    of_order = await client.query(ListPayments(order_id="o-p-3"), PaymentList)
    assert [view.payment_id for view in of_order.payments] == ["p-3"]
    held = await client.query(ListPayments(status=AUTHORIZED, page_size=1), PaymentList)
    further = await client.query(
        ListPayments(status=AUTHORIZED, page_size=1, page_token=held.next_page_token), PaymentList
    )
    assert [view.payment_id for view in (*held.payments, *further.payments)] == ["p-3", "p-1"]


async def _charged(books: ProviderLedger, tenant: str, wanted: int) -> None:
    """Wait until the provider has charged a number of payments."""
    async with asyncio.timeout(PATIENCE):
        while sum(charge.captures for charge in charges(books, tenant).values()) < wanted:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


@pytest.mark.chaos
async def test_killed_while_it_pays_nobody_is_charged_twice(
    client: IntentClient, payments: ContextService, books: ProviderLedger, tenant: str
) -> None:
    names = [f"p-{number}" for number in range(16)]
    cards = ["tok-ok", "tok-slow", "tok-timeout", "tok-twice"]
    paying = [asyncio.create_task(pay(client, name, cards[number % 4])) for number, name in enumerate(names)]
    for wanted in (4, 12):
        await _charged(books, tenant, wanted)
        payments.kill()
        await asyncio.to_thread(payments.start)
    await asyncio.gather(*paying)
    done = charges(books, tenant)
    assert sorted(done) == sorted(names)
    assert {(charge.authorizations, charge.captures, charge.net) for charge in done.values()} == {
        (1, 1, 1000)
    }
