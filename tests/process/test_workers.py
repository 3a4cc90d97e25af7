"""Workers of Temporal that end by themselves are replaced."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from intent.background import Background
from intent.process.workers import Workers
from temporalio.worker import Worker

from ..support.command_path import eventually


class _Failing:
    """A worker whose polls fail for good."""

    is_running = False

    async def run(self) -> None:
        raise RuntimeError("Poll failure: PermissionDenied")


class _Running:
    """A worker that polls until it is shut down."""

    def __init__(self) -> None:
        self.is_running = False
        self._end = asyncio.Event()

    async def run(self) -> None:
        self.is_running = True
        await self._end.wait()
        self.is_running = False

    async def shutdown(self) -> None:
        self._end.set()


async def test_a_worker_that_ended_is_replaced_and_the_reason_is_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("intent.process.workers._FAILING", 0.0)
    made: list[Any] = []

    def make() -> Worker:
        made.append(_Failing() if len(made) < 2 else _Running())
        worker: Worker = made[-1]
        return worker

    background = Background()
    workers = Workers({"orders-commands": make}, background)

    async def fails() -> bool:
        return "PermissionDenied" in workers.problem()

    async def replaced() -> bool:
        return len(made) == 3 and made[-1].is_running

    await eventually(fails)
    await eventually(replaced)
    await workers.stop()
    assert background.names == frozenset()
