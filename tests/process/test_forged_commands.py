"""Who writes to Temporal's namespace without a key has no command applied."""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
import pytest_asyncio
from intent.auditing import REFUSAL, AuditDatabase, AuditFilter, AuditRow
from intent.dev.services import TemporalServer
from intent.model import BoundContext
from intent.process.assembly import CommandPath, ContextProcess
from intent.settings.config import Settings
from intent.store.postgres import PostgresEventStore
from intent.temporal import names
from intent.temporal.signing import MAC_INVALID, MAC_MISSING
from intent.temporal.workflow_kit import command_envelope, event_payload
from intent_contracts.intent.v1 import (
    ApplyRequest,
    BatchHandled,
    CommandBatch,
    FailureKind,
    RouteRequest,
)
from intent_contracts.orders.v1 import OrderConfirmed
from temporalio.common import RawValue

from ..support.command_path import Requests, eventually, place, settings_on
from ..support.databases import Database
from .forging import Forger

QUEUE = names.command_queue("orders")


def key(folder: Path, name: str) -> Path:
    """Add a key that has been there for long."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(os.urandom(32).hex())
    os.utime(folder / name, (time.time() - 3600,) * 2)
    return folder / name


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    key(tmp_path / "keys", "2026-11")
    return tmp_path / "keys"


@pytest_asyncio.fixture
async def settings(database: Database, temporal: TemporalServer, bound: BoundContext, keys: Path) -> Settings:
    return await settings_on(database, temporal, bound, temporal_keys=str(keys))


@pytest_asyncio.fixture
async def forger(temporal: TemporalServer) -> Forger:
    return await Forger.at(temporal.address)


@asynccontextmanager
async def process(
    settings: Settings, bound: BoundContext
) -> AsyncIterator[tuple[ContextProcess, CommandPath]]:
    running = ContextProcess(settings, bound)
    async with running.started() as path:
        yield running, path


def forged(**fields: str) -> CommandBatch:
    order = place(uuid4().hex)
    command = command_envelope("acme", uuid4(), order, actor="user:ann")
    for name, value in fields.items():
        setattr(command, name, value)
    return CommandBatch(context="orders", commands=[command], reply_outcomes=True)


FORGED = [
    forged(),
    forged(tenant_id=""),
    forged(tenant_id="*"),
    forged(tenant_id="UPPER/../x"),
    forged(tenant_id="\x1b[2J"),
    forged(actor="operator:root"),
    forged(actor='x"}\n{"level": "error'),
]


async def test_forged_batches_end_at_once_and_change_nothing(
    settings: Settings, bound: BoundContext, forger: Forger, request_of: Requests
) -> None:
    async with process(settings, bound) as (running, path):
        for batch in FORGED:
            assert await forger.started(names.PROCESS_COMMANDS, QUEUE, batch) == MAC_MISSING
        assert await path.store.position() == 0
        # Neighbours go on.
        assert (await path.router.handle(request_of(place("o-1")))).version == 1
        counted = running._metrics.text().decode()
    # What others have left on the same queues may be refused as well.
    line = rf'intent_temporal_refusals_total{{place="workflow",reason="{MAC_MISSING}"}} (\d+)'
    assert sum(map(int, re.findall(line, counted))) >= len(FORGED)
    # It is recorded by the end of the process at the latest.
    asked = (REFUSAL, "temporal/workflow", "", MAC_MISSING)
    times = [
        row.times
        for row in await recorded(settings)
        if (row.kind, row.method, row.tenant, row.reason) == asked
    ]
    assert sum(times) >= len(FORGED)


async def recorded(settings: Settings) -> Sequence[AuditRow]:
    """Return what is in the audit."""
    store = await PostgresEventStore.open(settings.database_url, "orders")
    try:
        return await AuditDatabase(store.pool, "orders").read(AuditFilter())
    finally:
        await store.close()


async def test_a_genuine_command_is_believed_only_where_it_was_sent(
    settings: Settings, bound: BoundContext, forger: Forger, request_of: Requests
) -> None:
    async with process(settings, bound) as (_, path):
        request = request_of(place("o-1"))
        batch = (await path.router.submit(request)).handle
        await path.router.handle(request)
        await forger.client.get_workflow_handle(batch).result()
        genuine = await forger.input_of(batch)
        before = await path.store.position()
        tampered = type(genuine)()
        tampered.CopyFrom(genuine)
        sent = CommandBatch.FromString(genuine.data)
        sent.commands[0].tenant_id = "other"
        tampered.data = sent.SerializeToString()
        assert await forger.started(names.PROCESS_COMMANDS, QUEUE, RawValue(genuine)) == MAC_INVALID
        assert await forger.started(names.PROCESS_COMMANDS, QUEUE, RawValue(tampered), batch) == MAC_INVALID
        # Given once more where it belongs, it is the same command, which has no second effect.
        assert await forger.started(names.PROCESS_COMMANDS, QUEUE, RawValue(genuine), batch) == "done"
        assert await path.store.position() == before


async def test_no_activity_is_called_by_others(
    settings: Settings, bound: BoundContext, forger: Forger
) -> None:
    command = command_envelope("acme", uuid4())
    applied = ApplyRequest(
        command=command,
        aggregate_type="Order",
        aggregate_id="o-1",
        expected_version=0,
        events=[event_payload(OrderConfirmed())],
    )
    async with process(settings, bound) as (_, path):
        for activity, argument in (
            (names.HANDLE_COMMANDS, FORGED[0]),
            (names.APPLY_EVENTS, applied),
            (names.ROUTE_COMMAND, FORGED[0].commands[0]),
            (names.ROUTE_EVENT, RouteRequest(context="orders", positions=[1])),
        ):
            assert await forger.called(QUEUE, activity, argument) == MAC_MISSING
        assert await path.store.position() == 0


async def test_malformed_tenants_and_actors_are_refused_without_keys_too(
    database: Database, temporal: TemporalServer, bound: BoundContext, forger: Forger
) -> None:
    settings = await settings_on(database, temporal, bound)
    async with process(settings, bound) as (_, path):
        for batch in FORGED[1:5] + FORGED[6:]:
            handled = await forger.client.execute_workflow(
                names.PROCESS_COMMANDS, batch, id=uuid4().hex, task_queue=QUEUE, result_type=BatchHandled
            )
            failure = handled.outcomes[0].failure
            assert (failure.kind, failure.reason) == (FailureKind.FAILURE_KIND_INVALID, "CONTRACT_VIOLATED")
            assert {violation.field for violation in failure.violations} <= {"actor", "tenant_id"}
        assert await path.store.position() == 0


async def test_keys_are_changed_under_traffic(
    settings: Settings,
    bound: BoundContext,
    keys: Path,
    request_of: Requests,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", "intent.temporal.signing")
    done = 0

    async def traffic(path: CommandPath, until: asyncio.Event) -> None:
        nonlocal done
        while not until.is_set():
            await path.router.handle(request_of(place(uuid4().hex)))
            done += 1

    async def more() -> None:
        before = done

        async def many() -> bool:
            return done >= before + 20

        await eventually(many, 120)

    async with process(settings, bound) as (_, path):
        until = asyncio.Event()
        async with asyncio.TaskGroup() as callers:
            for _ in range(4):
                callers.create_task(traffic(path, until))
            await more()
            key(keys, "2027-01")
            await eventually(lambda: _said(caplog, "the key 2027-01 signs"), 60)
            await more()
            (keys / "2026-11").unlink()
            await eventually(lambda: _said(caplog, "have changed: 2027-01"), 60)
            await more()
            until.set()
    assert not [
        record for record in caplog.records if record.levelname == "WARNING" and "MAC" in record.message
    ]


async def _said(caplog: pytest.LogCaptureFixture, text: str) -> bool:
    return text in caplog.text


async def test_commands_of_the_release_before_are_believed_for_a_while(
    database: Database, temporal: TemporalServer, bound: BoundContext, forger: Forger, keys: Path
) -> None:
    for hours, said in ((1, "done"), (-1, MAC_MISSING)):
        until = datetime.now(UTC) + timedelta(hours=hours)
        settings = await settings_on(
            database, temporal, bound, temporal_keys=str(keys), temporal_unsigned_until=until.isoformat()
        )
        async with process(settings, bound) as (_, path):
            assert await forger.started(names.PROCESS_COMMANDS, QUEUE, forged()) == said
            assert await path.store.position() == 1
