"""A batch that makes no progress is a reason in /readyz and a metric, for as long as it makes none."""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

import asyncpg
import pytest
from intent.errors import Unavailable
from intent.model import BoundContext
from intent.process import assembly, probes
from intent.process.assembly import ContextProcess
from intent.process.sockets import free_port
from intent.settings.config import Settings

from ..support.command_path import Requests, place
from ..support.databases import Database

STALLED = 2.0
LONGEST = 60.0


async def test_it_is_named_while_it_stalls_and_no_longer(
    settings: Settings,
    bound: BoundContext,
    request_of: Requests,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for module in (assembly, probes):
        monkeypatch.setattr(module, "STALLED", STALLED)
    url = f"http://127.0.0.1:{(port := free_port())}"
    own = {"metrics_port": port, "unavailable_after": 1.0}
    holder = await asyncpg.connect(database.owner)
    try:
        async with ContextProcess(settings.model_copy(update=own), bound).started() as path:
            assert "commands" not in await _problems(url)
            command = request_of(place("o-1"))
            async with holder.transaction():
                # The one row that every append needs.
                await holder.execute("update orders.head set position = position")
                with pytest.raises(Unavailable):
                    await path.router.handle(command)
                await _until(url, lambda problem, _: "the 1 command(s) of orders/commands/" in problem)
                await _until(url, lambda _, stalled: stalled > STALLED)
            await _until(url, lambda problem, stalled: not problem and not stalled)
            # The same command, which has gone on without its caller.
            assert (await path.router.handle(command)).version == 1
    finally:
        await holder.close()


async def _until(url: str, holds: Callable[[str, float], bool]) -> None:
    """Wait until something holds of what health says of commands, and of the longest stall."""
    async with asyncio.timeout(LONGEST):
        while not holds((await _problems(url)).get("commands", ""), await _stalled(url)):  # noqa: ASYNC110
            await asyncio.sleep(0.5)


async def _problems(url: str) -> dict[str, str]:
    problems: dict[str, str] = json.loads(await asyncio.to_thread(_text, f"{url}/readyz"))["problems"]
    return problems


async def _stalled(url: str) -> float:
    lines = (await asyncio.to_thread(_text, f"{url}/metrics")).splitlines()
    found = [float(line.split()[-1]) for line in lines if line.startswith("intent_stalled_batch_seconds{")]
    return max(found, default=0.0)


def _text(url: str) -> str:
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:
            return _read(answer)
    except urllib.error.HTTPError as refused:
        return _read(refused)


def _read(answer: Any) -> str:
    text: str = answer.read().decode()
    return text
