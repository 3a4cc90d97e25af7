"""Thousands of calls that must fail, of one kind after the other, against a process."""

from __future__ import annotations

import argparse
import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from intent.client import IntentClient
from intent.contracts import Registry
from intent.dev.platform import ContextService, LocalPlatform
from intent.process.sockets import free_port

from ..bad_calls import AT_ONCE, BAD_CALLS, Flood
from ..storm import _place
from ..watched import LoopWatch, resident
from .kind import Group, Kind, Round, Say, positive

__all__ = ["FLOODS", "Flooded", "flooded"]

_WARM = 300
_ONE_BY_ONE = 5
_TRIES = 5
_RINSES = 6
_RINSE = 300
_GROWTH = 1.10
"""The resident memory after any flood, in proportion to that before the first."""
_HELD = 0.1
"""The longest time, in seconds, for which one call may hold the event loop."""


@dataclass
class Flooded:
    """A process that is flooded.

    Attributes:
        service: The process.
        watch: Watches its event loop.
        flood: The callers.
        client: A caller who does nothing wrong.
        before: Its resident memory before, in bytes.
    """

    service: ContextService
    watch: LoopWatch
    flood: Flood
    client: IntentClient
    before: int = 0
    good: int = 0

    @property
    def pid(self) -> int:
        """The process's id."""
        pid = self.service.process.pid
        assert pid is not None, f"the process ended: {self.service.process.last_log_line()}"
        return pid

    async def warm_up(self, calls: int) -> None:
        """Make some calls of each kind, and measure the memory after them."""
        for bad in BAD_CALLS.values():
            await bad(self.flood, calls)
        await self._serves()
        self.before = await self._rinsed()

    async def storm(self, name: str, calls: int) -> str:
        """Make bad calls of one kind; raise AssertionError when the process does not bear them."""
        held = await self._held_by(name)
        self.flood.codes = Counter()
        began = time.monotonic()
        await BAD_CALLS[name](self.flood, calls)
        took = time.monotonic() - began
        counted = self.flood.codes.copy()
        codes = ", ".join(f"{number} {code}" for code, number in counted.most_common())
        await self._serves()
        after = await self._rinsed()
        line = (
            f"{calls / took:,.0f} calls/s, {codes or 'closed'}; one call holds the loop for "
            f"{1000 * held:.0f} ms at most; {after / 2**20:.0f} MiB resident, "
            f"{self.before / 2**20:.0f} before"
        )
        assert held < _HELD, line
        assert after < _GROWTH * self.before, line
        assert not counted.keys() & {"UNKNOWN", "INTERNAL"}, line
        return line

    async def _serves(self) -> None:
        """Do something that must succeed."""
        self.good += 1
        async with asyncio.timeout(60):
            await self.client.execute(_place(f"good-{time.monotonic_ns()}"))

    async def _held_by(self, name: str) -> float:
        """Return for how long a few calls, one at a time, held the event loop at the longest."""
        held: list[float] = []
        self.flood.at_once = 1
        # What holds the loop does so each time; other holds are due to what else the machine does.
        while len(held) < _TRIES and min(held, default=_HELD) >= _HELD:
            self.watch.longest()
            await BAD_CALLS[name](self.flood, _ONE_BY_ONE)
            held.append(await asyncio.to_thread(self.watch.longest))
        self.flood.at_once = AT_ONCE
        return min(held)

    async def _rinsed(self) -> int:
        """Return the resident memory after some small calls, which give back the space of large ones."""
        for _ in range(_RINSES):
            await BAD_CALLS["no-role"](self.flood, _RINSE)
            if 0 < resident(self.pid) < _GROWTH * self.before:
                break
        return resident(self.pid)


@asynccontextmanager
async def flooded(folder: Path, warm: int = _WARM) -> AsyncIterator[Flooded]:
    """Run a process, and flood it a little, for the duration of the block."""
    metrics = free_port()
    with LocalPlatform(folder=folder, durable=False) as platform:
        await platform.prepare("orders")
        environment = {"INTENT_METRICS_PORT": str(metrics)}
        with platform.service("orders", environment=environment, log_level="error") as service:
            client = IntentClient.connect(service.target, tenant="good", registry=Registry.load(), timeout=20)
            pid = service.process.pid
            assert pid is not None
            watch = LoopWatch(metrics, pid)
            try:
                async with Flood("127.0.0.1", service.port) as flood, client:
                    under = Flooded(service, watch, flood, client)
                    await under.warm_up(warm)
                    yield under
            finally:
                watch.close()


def _arguments(group: Group) -> None:
    group.add_argument("--calls", type=positive, default=10_000, help="calls in a round (10000)")
    group.add_argument("--calls-of", choices=sorted(BAD_CALLS), help="only this kind; default: all in turn")


@asynccontextmanager
async def _opened(options: argparse.Namespace, folder: Path) -> AsyncIterator[Round]:
    names = [options.calls_of] if options.calls_of else list(BAD_CALLS)
    async with flooded(folder) as under:

        async def round_(seed: int, say: Say) -> str:
            name = names[seed % len(names)]
            say(f"{options.calls:,} calls: {name}")
            return await under.storm(name, options.calls)

        yield round_


FLOODS = Kind(
    name="floods",
    about="Thousands of calls that must fail, of one kind after the other: too large, malformed, cancelled, "
    "unknown, endless, half open. No call holds the event loop for more than 100 ms, resident memory stays "
    "within 10 % of what it was, and whoever does nothing wrong is served.",
    share=len(BAD_CALLS),
    arguments=_arguments,
    open=_opened,
)
