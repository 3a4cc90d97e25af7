"""What comes from Temporal and is refused is counted, logged and recorded, and floods nothing."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import logging

import pytest
from intent.auditing import REFUSAL, Auditor, MemoryAudit
from intent.background import Background
from intent.settings.config import load_settings
from intent.telemetry.metrics import Metrics
from intent.telemetry.refusals import Refusals, recorded_refusals, warn_without_keys
from intent.temporal.signing import MAC_INVALID, Refusal

FORGED = Refusal(MAC_INVALID, "intent.v1.CommandBatch", "workflow", "orders/commands/\x1b[2J", "ab12")


async def test_each_is_counted_and_recorded_and_the_first_are_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    metrics, log = Metrics(), MemoryAudit()
    async with recorded_refusals(metrics, log, Background()) as refusals:

        def refuse(count: int) -> None:
            for _ in range(count):
                refusals(FORGED)

        # Workflows run in threads of their own.
        await asyncio.gather(*(asyncio.to_thread(refuse, 125) for _ in range(4)))
    assert (
        'intent_temporal_refusals_total{place="workflow",reason="MAC_INVALID"} 500.0'
        in metrics.text().decode()
    )
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 20
    assert lines[0].startswith(
        "intent.v1.CommandBatch for workflow of orders/commands/\\u001b[2J is refused: "
    )
    assert lines[0].endswith("copied from elsewhere (key ab12)")
    (entry,) = log.entries
    assert (entry.kind, entry.method, entry.reason, entry.times) == (
        REFUSAL,
        "temporal/workflow",
        MAC_INVALID,
        500,
    )
    assert json.loads(entry.target) == {
        "key": "ab12",
        "message": "intent.v1.CommandBatch",
        "workflow_id": "orders/commands/\x1b[2J",
    }


async def test_who_forges_floods_neither_the_audit_nor_what_it_says_of_calls() -> None:
    log = MemoryAudit()
    async with recorded_refusals(Metrics(), log, Background()) as refusals:
        for number in range(1000):
            id_ = f"orders.v1.FulfilOrder/tenant-{number}/o-1"
            refusals(dataclasses.replace(FORGED, workflow_id=id_, place=f"activity-{number % 100}"))
    assert len(log.entries) == 17
    assert sum(entry.times for entry in log.entries) == 1000


async def test_the_tenant_is_that_of_the_saga() -> None:
    log = MemoryAudit()
    async with recorded_refusals(Metrics(), log, Background()) as refusals:
        refusals(dataclasses.replace(FORGED, workflow_id="orders.v1.FulfilOrder/acme/o-1"))
    assert [entry.tenant for entry in log.entries] == ["acme"]


async def test_a_refusal_after_the_end_of_the_loop_harms_nothing() -> None:
    def made() -> Refusals:
        async def make() -> Refusals:
            return Refusals(Metrics(), Auditor(MemoryAudit(), Background()))

        return asyncio.run(make())

    (await asyncio.to_thread(made))(FORGED)


def test_production_without_keys_says_what_that_means(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    warn_without_keys(load_settings(dev=True))
    warn_without_keys(load_settings(temporal_keys="keys"))
    assert not caplog.records
    warn_without_keys(load_settings())
    assert "whoever writes to the namespace default is believed: set INTENT_TEMPORAL_KEYS" in caplog.text
