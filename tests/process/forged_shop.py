"""A process of payments with keys, its provider, and somebody who forges."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from intent.commands import CommandRequest
from intent.contracts import Registry
from intent.dev.services import Postgres, TemporalServer
from intent.model import Context
from intent.origin import Origin
from intent.process.assembly import CommandPath, ContextProcess
from intent.saga_host import SagaDirectory
from intent.settings.config import Settings
from intent.temporal import names
from intent.temporal.connection import connect_temporal
from intent_contracts.intent.v1 import RecordedEvent
from intent_contracts.payments.v1 import (
    AuthorizationRequested,
    AuthorizePayment,
    ChargeAnswer,
    ChargeCall,
    Money,
)
from payments.aggregates import Payment
from payments.context import context as payments
from payments.ports import CHARGE
from payments.sagas import AuthorizeCharge, CaptureCharge, RefundCharge, VoidCharge
from temporalio.client import Client

from ..support.command_path import eventually, settings_on
from ..support.databases import Database, create_database, drop_database, prepare
from .forging import Forger

__all__ = ["EUROS", "QUEUE", "SAGA", "Provider", "Shop", "Site", "forged", "saga_of", "site"]

SAGA, QUEUE = "payments.v1.AuthorizeCharge", names.saga_queue("payments")
EUROS = Money(minor_units=999_999, currency="EUR")


class Provider:
    """A provider that notes each call, and may fail."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.fails: Exception | None = None

    async def charge(self, call: ChargeCall) -> ChargeAnswer:
        self.calls.append(call.idempotency_key)
        if self.fails is not None:
            raise self.fails
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


@dataclass(frozen=True)
class Site:
    """Where processes of payments run, one after another.

    Attributes:
        settings: Those of a process.
        provider: The provider that all of them call.
        forger: Somebody who forges.
    """

    settings: Settings
    provider: Provider
    forger: Forger

    @asynccontextmanager
    async def shop(self, **overrides: object) -> AsyncIterator[Shop]:
        """Run a process."""
        context = Context(
            "payments",
            aggregates=[Payment],
            projections=payments.projections,
            sagas=[AuthorizeCharge, CaptureCharge, RefundCharge, VoidCharge],
            ports=[CHARGE.served_by(self.provider.charge)],
            queries=payments.queries,
        ).bind(Registry.load())
        async with ContextProcess(self.settings.model_copy(update=overrides), context).started() as path:
            yield Shop(path, self.provider, self.forger)

    async def client(self) -> Client:
        """Return a client with the keys."""
        return await connect_temporal(self.settings, report=lambda _: None)

    async def directory(self) -> SagaDirectory:
        """Return what shows the sagas."""
        return SagaDirectory("payments", [SAGA], await self.client())


@asynccontextmanager
async def site(postgres: Postgres, temporal: TemporalServer, folder: Path) -> AsyncIterator[Site]:
    """Prepare a database and keys."""
    (folder / "key").write_text(os.urandom(32).hex())
    name = await create_database(postgres)
    database = Database.of(postgres, name, "payments")
    try:
        await prepare(database)
        bound = payments.bind(Registry.load())
        settings = await settings_on(database, temporal, bound, temporal_keys=str(folder / "key"))
        forger = await Forger.at(temporal.address)
        yield Site(settings.model_copy(update={"context": "payments"}), Provider(), forger)
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
