"""What the core of Temporal's SDK has to say goes to the log of the process, in its format."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest
from intent.dev.services import TemporalServer
from intent.settings.config import load_settings
from intent.temporal.connection import connect_temporal
from temporalio import activity
from temporalio.worker import Worker


class Heard(logging.Handler):
    """Waits for a record of the core."""

    def __init__(self) -> None:
        super().__init__()
        self.record: logging.LogRecord | None = None
        self._loop, self._event = asyncio.get_running_loop(), asyncio.Event()

    def emit(self, record: logging.LogRecord) -> None:
        if record.name.startswith("temporalio.core") and "retried" in record.getMessage():
            self.record = record
            self._loop.call_soon_threadsafe(self._event.set)

    async def wait(self) -> None:
        await asyncio.wait_for(self._event.wait(), 180)


@activity.defn
async def nothing() -> None:
    """Do nothing; a worker needs something to do."""


async def test_the_core_writes_to_the_log_and_not_to_standard_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    heard = Heard()
    monkeypatch.setattr(logging.getLogger("temporalio"), "handlers", [heard])
    monkeypatch.setattr(logging.getLogger("temporalio"), "propagate", False)
    server = TemporalServer(log=tmp_path / "log").start()
    monkeypatch.setenv("TEMPORAL_ADDRESS", server.address)
    try:
        client = await connect_temporal(load_settings(context="orders"))
        running = asyncio.create_task(Worker(client, task_queue="nobody", activities=[nothing]).run())
        server.kill()
        await heard.wait()
        running.cancel()
        # It may have failed for want of a server.
        await asyncio.gather(running, return_exceptions=True)
    finally:
        server.kill()
    assert heard.record is not None
    assert heard.record.levelno == logging.WARNING
    assert "retried" not in "".join(capfd.readouterr())
