"""Kills whatever runs, each at its own seeded moments, and starts it again some time later."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from intent.dev.platform import ContextService, LocalPlatform
from intent.dev.services import ServiceFailed

__all__ = ["Outage", "Outages", "outages_planned", "victims"]

_LONGEST_AWAY = 3.0
_START_PATIENCE = 300.0


class Victim(Protocol):
    """What is killed and started."""

    def kill(self) -> None:
        """Kills it as kill -9 does."""
        ...

    def start(self) -> object:
        """Starts it and waits until it is ready."""
        ...


@dataclass(frozen=True, slots=True)
class Outage:
    """One kill.

    Attributes:
        moment: Seconds from the beginning; later when the victim is still starting then.
        away: Seconds until it is started again.
    """

    moment: float
    away: float


def victims(platform: LocalPlatform, services: Mapping[str, ContextService]) -> dict[str, Victim]:
    """Returns all that can be killed, by name."""
    return {"PostgreSQL": platform.postgres, "Temporal": platform.temporal, **services}


def outages_planned(names: Sequence[str], seed: int, seconds: float, kills: int) -> dict[str, list[Outage]]:
    """Returns so many kills within so many seconds, of everything in turn: they may fall together."""
    chance = random.Random(seed)
    order = [name for _ in range(-(-kills // len(names))) for name in chance.sample(names, len(names))]
    planned: dict[str, list[Outage]] = {name: [] for name in names}
    for name in order[:kills]:
        planned[name].append(Outage(chance.uniform(0, seconds), chance.uniform(0, _LONGEST_AWAY)))
    return {name: sorted(own, key=lambda outage: outage.moment) for name, own in planned.items()}


@dataclass
class Outages:
    """Brings about what is planned.

    Attributes:
        victims: What is killed, by name.
        planned: When, by name.
        on_change: Called with the name of what goes or comes, and whether it came.
        kills: How many there were so far.
        starts_failed: What could not start at once since what it needs was away, in sentences.
    """

    victims: Mapping[str, Victim]
    planned: Mapping[str, Sequence[Outage]]
    on_change: Callable[[str, bool], None] = lambda name, came: None
    kills: int = 0
    starts_failed: list[str] = field(default_factory=list)

    async def happen(self) -> None:
        """Kills and starts until all is over and everything runs."""
        began = time.monotonic()
        await asyncio.gather(*(self._strike(name, began) for name in self.planned))

    async def _strike(self, name: str, began: float) -> None:
        for outage in self.planned[name]:
            await asyncio.sleep(began + outage.moment - time.monotonic())
            self.on_change(name, False)
            await asyncio.to_thread(self.victims[name].kill)
            self.kills += 1
            await asyncio.sleep(outage.away)
            await self._bring_back(name)
            self.on_change(name, True)

    async def _bring_back(self, name: str) -> None:
        """Starts it, again when it could not start since what it needs is away too."""
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
