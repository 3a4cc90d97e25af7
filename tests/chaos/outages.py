"""Outages: every process is killed at its own seeded moments and started again some time later."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from intent.dev.platform import ContextService, LocalPlatform
from intent.dev.services import ServiceFailed

__all__ = ["Outage", "Outages", "Victim", "outages_planned", "victims"]

_LONGEST_OUTAGE = 3.0
_START_PATIENCE = 300.0


class Victim(Protocol):
    """Something that is killed and started."""

    def kill(self) -> None:
        """Kill it as kill -9 does."""
        ...

    def start(self) -> object:
        """Start it and wait until it is ready."""
        ...


@dataclass(frozen=True, slots=True)
class Outage:
    """One kill.

    Attributes:
        moment: Seconds from the start; later when the victim is still starting then.
        down: Seconds until it is started again.
    """

    moment: float
    down: float


def victims(platform: LocalPlatform, services: Mapping[str, ContextService]) -> dict[str, Victim]:
    """Return all that can be killed, by name."""
    return {"PostgreSQL": platform.postgres, "Temporal": platform.temporal, **services}


def outages_planned(names: Sequence[str], seed: int, seconds: float, kills: int) -> dict[str, list[Outage]]:
    """Return a number of kills within a number of seconds, of everything in turn; they may coincide."""
    chance = random.Random(seed)
    order = [name for _ in range(-(-kills // len(names))) for name in chance.sample(names, len(names))]
    planned: dict[str, list[Outage]] = {name: [] for name in names}
    for name in order[:kills]:
        planned[name].append(Outage(chance.uniform(0, seconds), chance.uniform(0, _LONGEST_OUTAGE)))
    return {name: sorted(own, key=lambda outage: outage.moment) for name, own in planned.items()}


@dataclass
class Outages:
    """The execution of planned outages.

    Attributes:
        victims: The victims, by name.
        planned: Their outages, by name.
        on_change: Called with the name of a victim, and whether it was started or killed.
        kills: The number of kills so far.
        starts_failed: Failed starts while something that the process needs was unavailable, in sentences.
    """

    victims: Mapping[str, Victim]
    planned: Mapping[str, Sequence[Outage]]
    on_change: Callable[[str, bool], None] = lambda name, came: None
    kills: int = 0
    starts_failed: list[str] = field(default_factory=list)

    async def happen(self) -> None:
        """Kill and start until the plan is done and everything runs."""
        began = time.monotonic()
        await asyncio.gather(*(self._strike(name, began) for name in self.planned))

    async def _strike(self, name: str, began: float) -> None:
        for outage in self.planned[name]:
            await asyncio.sleep(began + outage.moment - time.monotonic())
            self.on_change(name, False)
            await asyncio.to_thread(self.victims[name].kill)
            self.kills += 1
            await asyncio.sleep(outage.down)
            await self._start_again(name)
            self.on_change(name, True)

    async def _start_again(self, name: str) -> None:
        """Start it, and try again while something that it needs is unavailable too."""
        end = time.monotonic() + _START_PATIENCE
        while True:
            try:
                await asyncio.to_thread(self.victims[name].start)
                return
            except ServiceFailed as failed:
                if time.monotonic() > end:
                    raise
                self.starts_failed.append(str(failed))
                await asyncio.sleep(1)
