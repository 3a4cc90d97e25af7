"""Kills and restarts at seeded moments under load: nothing lost, nothing twice, nothing stuck."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from intent.dev.platform import LocalPlatform
from intent_contracts.intent.v1 import CommandResult

from .storm import Storm, _place

pytestmark = pytest.mark.chaos


@pytest_asyncio.fixture
async def platform() -> AsyncIterator[LocalPlatform]:
    with LocalPlatform(durable=True) as running:
        await running.prepare("orders")
        yield running


async def test_kills_and_restarts_under_load_lose_nothing(platform: LocalPlatform) -> None:
    with platform.service("orders", log_level="warning") as service:
        storm = Storm(platform, service, seed=7, callers=12, rest=0.1)
        disruptions = [
            service.kill_and_start,
            storm.restart_postgres,
            storm.restart_temporal,
            service.kill_and_start,
        ]
        await storm.blow(disruptions, pause=1.5)
        await storm.check()
        assert sum(isinstance(sent.answer, CommandResult) for sent in storm.sent) > 50
        assert storm.slowest_after_restart() < 15


async def test_a_kill_between_commit_and_acknowledgement_has_one_effect(platform: LocalPlatform) -> None:
    crashing = platform.service(
        "orders", module="tests.chaos.crashing", environment={"APPENDS_UNTIL_CRASH": "3"}
    )
    with crashing:
        storm = Storm(platform, crashing, seed=11)
        for number in range(2):
            await storm.send("acme", _place(f"before-{number}"))
        calls = [asyncio.create_task(storm.send("acme", _place(f"crash-{n}"))) for n in range(8)]
        await asyncio.to_thread(crashing.process.wait_for_end, 30)
        with platform.service("orders", port=crashing.port):
            await asyncio.gather(*calls)
            assert all(isinstance(sent.answer, CommandResult) for sent in storm.sent)
            await storm.check()
