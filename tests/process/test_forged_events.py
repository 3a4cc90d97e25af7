"""A payment that is not in the log has nothing done: the provider is never called for a forged event."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest_asyncio
from intent.commands import CommandRequest
from intent.contracts import Registry
from intent.dev.services import Postgres, TemporalServer
from intent.model import Context
from intent.origin import Origin
from intent.process.assembly import CommandPath, ContextProcess
from intent.temporal import names
from intent.temporal.signing import MAC_INVALID, MAC_MISSING
from intent_contracts.intent.v1 import CancelSagaRequest, RecordedEvent, SagaInput
from intent_contracts.payments.v1 import (
    AuthorizationRequested,
    AuthorizePayment,
    ChargeAction,
    ChargeAnswer,
    ChargeCall,
    Money,
)
from payments.aggregates import Payment
from payments.context import context as payments
from payments.ports import CHARGE
from payments.sagas import AuthorizeCharge, CaptureCharge, RefundCharge, VoidCharge
from temporalio.client import WorkflowExecutionStatus
from temporalio.common import RawValue

from ..support.command_path import eventually, settings_on
from ..support.databases import Database, create_database, drop_database, prepare
from .forging import Forger

SAGA, QUEUE = "payments.v1.AuthorizeCharge", names.saga_queue("payments")
EUROS = Money(minor_units=999_999, currency="EUR")


class Provider:
    """A provider that notes each call."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    async def charge(self, call: ChargeCall) -> ChargeAnswer:
        self.calls.append(call.idempotency_key)
        return ChargeAnswer(code="held")


class Shop:
    """A process of payments, its provider, and somebody who forges."""

    def __init__(self, path: CommandPath, provider: Provider, forger: Forger) -> None:
        self.path = path
        self.provider = provider
        self.forger = forger

    async def authorize(self, payment: str) -> None:
        """Send the genuine command."""
        registry = Registry.load()
        command = AuthorizePayment(payment_id=payment, order_id="o-1", amount=EUROS, card_token="tok_visa")
        contract = registry.command(command.DESCRIPTOR.full_name)
        origin = Origin("acme", uuid4(), uuid4().hex, actor="service:orders")
        await self.path.router.handle(CommandRequest(contract, command, origin))

    async def calls(self, count: int) -> None:
        """Wait until the provider was called so often, and for no more."""

        async def called() -> bool:
            return len(self.provider.calls) >= count

        await eventually(called, 90)
        assert len(self.provider.calls) == count


@pytest_asyncio.fixture
async def shop(postgres: Postgres, temporal: TemporalServer, tmp_path: Path) -> AsyncIterator[Shop]:
    provider = Provider()
    context = Context(
        "payments",
        aggregates=[Payment],
        projections=payments.projections,
        sagas=[AuthorizeCharge, CaptureCharge, RefundCharge, VoidCharge],
        ports=[CHARGE.served_by(provider.charge)],
        queries=payments.queries,
    ).bind(Registry.load())
    (tmp_path / "key").write_text(os.urandom(32).hex())
    name = await create_database(postgres)
    database = Database.of(postgres, name, "payments")
    try:
        await prepare(database)
        settings = await settings_on(database, temporal, context, temporal_keys=str(tmp_path / "key"))
        process = ContextProcess(settings.model_copy(update={"context": "payments"}), context)
        async with process.started() as path:
            yield Shop(path, provider, await Forger.at(temporal.address))
    finally:
        await drop_database(postgres, name)


def forged(payment: str) -> RecordedEvent:
    requested = AuthorizationRequested(order_id="o-1", amount=EUROS, card_token="tok_visa")
    return RecordedEvent(
        position=1,
        context="payments",
        tenant_id="acme",
        aggregate_type="Payment",
        aggregate_id=payment,
        version=1,
        event_id=str(uuid4()),
        type=requested.DESCRIPTOR.full_name,
        schema_version=1,
        data=requested.SerializeToString(),
        actor="user:nobody",
    )


def saga_of(payment: str) -> str:
    return names.saga_workflow_id(SAGA, "acme", payment)


async def test_a_forged_event_has_nothing_held(shop: Shop) -> None:
    payment = uuid4().hex
    given = SagaInput(events=[forged(payment)])
    assert await shop.forger.started(SAGA, QUEUE, given, saga_of(payment)) == MAC_MISSING
    assert shop.provider.calls == []
    # The genuine event starts the saga all the same.
    await shop.authorize(payment)
    await shop.calls(1)


async def test_forged_signals_are_dropped(shop: Shop) -> None:
    payment = uuid4().hex
    saga = await shop.forger.client.start_workflow(
        SAGA,
        id=saga_of(payment),
        task_queue=QUEUE,
        start_signal=names.SAGA_SIGNAL,
        start_signal_args=[forged(payment)],
    )
    await saga.signal(names.SAGA_CANCEL, CancelSagaRequest(id=saga.id, reason="because"))
    # It has looked at both, and still waits for an event that starts it.
    await saga.query(names.SAGA_REPORT)
    assert shop.provider.calls == []
    await shop.authorize(payment)
    await shop.calls(1)
    await saga.result()
    assert (await saga.describe()).status == WorkflowExecutionStatus.COMPLETED


async def test_a_genuine_event_starts_no_other_saga(shop: Shop) -> None:
    payment, other = uuid4().hex, uuid4().hex
    await shop.authorize(payment)
    await shop.calls(1)
    genuine = RawValue(await shop.forger.input_of(saga_of(payment)))
    assert await shop.forger.started(SAGA, QUEUE, genuine, saga_of(other)) == MAC_INVALID
    await shop.calls(1)


async def test_nobody_else_calls_a_port(shop: Shop) -> None:
    call = ChargeCall(action=ChargeAction.CHARGE_ACTION_AUTHORIZE, idempotency_key="k", amount=EUROS)
    said = await shop.forger.called(QUEUE, names.port_activity("payments", "charge"), call)
    assert said == MAC_MISSING
    assert shop.provider.calls == []
