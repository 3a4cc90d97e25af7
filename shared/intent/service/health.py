"""Health from usefulness: SERVING while the process, or a service of it, can do something useful.

Probes check progress, not liveness. What only some services need does not make the process not ready:
while Temporal is unavailable, queries are still answered. Kubernetes and load balancers ask
grpc.health.v1.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Final

from grpc_health.v1 import health, health_pb2

from intent.background import Background, BackgroundTask
from intent.store.event_store import EventStore

__all__ = ["HealthMonitor", "Probe", "store_probe"]

_log: Final = logging.getLogger("intent.service.health")
_SERVING: Final = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING: Final = health_pb2.HealthCheckResponse.NOT_SERVING
EVERYTHING: Final = ""
"""The name under which grpc.health.v1 reports the health of the whole process."""
_HEALING: Final = 5.0
"""Seconds for which a task of the process may fail before that is shown."""


@dataclass(frozen=True, slots=True)
class Probe:
    """A check of one thing that must make progress.

    Attributes:
        name: What is checked, e.g. ``worker``.
        check: Returns what is wrong in a few words, or an empty string. An exception counts
            as a problem as well.
        services: The services that need it, by full name; None: all, so that the process can do nothing
            useful without it.
    """

    name: str
    check: Callable[[], Awaitable[str]]
    services: Collection[str] | None = None


def store_probe(store: EventStore) -> Probe:
    """Return a probe that asks the event store for its position; every service needs the store."""

    async def check() -> str:
        await store.position()
        return ""

    return Probe("store", check)


class HealthMonitor:
    """Runs the probes at intervals and reports the results to grpc.health.v1.

    Args:
        services: The services, by full name.
        probes: The checks of what must make progress.
        interval: Seconds between two rounds.
        timeout: Seconds after which a probe counts as failed.
        background: The tasks of the process; one that has ended makes the process not ready.
    """

    def __init__(
        self,
        services: Sequence[str],
        probes: Sequence[Probe],
        *,
        interval: float,
        timeout: float,
        background: Background | None = None,
    ) -> None:
        self.servicer = health.aio.HealthServicer()
        self._services = services
        self._probes = probes
        self._interval = interval
        self._timeout = timeout
        self._problems: dict[str, str] = {}
        self._background = background or Background()
        self._ready = False
        self._stopping = False
        self._task: BackgroundTask | None = None

    @property
    def ready(self) -> bool:
        """Whether the process can do something useful."""
        return self._ready and not self._stopping and not self._background.ended

    @property
    def problems(self) -> dict[str, str]:
        """What is wrong, by the name of the probe or task; the process may be ready all the same."""
        stopping = {"process": "it is stopping"} if self._stopping else {}
        return {**self._problems, **self._background.ended, **stopping}

    async def start(self) -> None:
        """Run a first round, then continue in the background."""
        await self.check()
        self._task = self._background.start("health", self._run)

    async def stop(self) -> None:
        """Report NOT_SERVING from now on and end the rounds."""
        self._stopping = True
        await self.servicer.enter_graceful_shutdown()
        if self._task is not None:
            await self._task.stop()

    async def check(self) -> None:
        """Run one round."""
        results = await asyncio.gather(*(self._problem(probe) for probe in self._probes))
        problems = {probe.name: text for probe, text in zip(self._probes, results, strict=True) if text}
        failed = [probe for probe in self._probes if probe.name in problems]
        self._ready = all(probe.services is not None for probe in failed)
        problems |= self._background.failing(_HEALING)
        self._log_changes(problems)
        self._problems = problems
        await self._set(EVERYTHING, self.ready)
        for service in self._services:
            needed = any(_needs(service, probe) for probe in failed)
            await self._set(service, not needed and not self._background.ended)

    async def _set(self, service: str, healthy: bool) -> None:
        await self.servicer.set(service, _SERVING if healthy else _NOT_SERVING)

    async def _problem(self, probe: Probe) -> str:
        """Return what is wrong; ask twice, since one cancelled call or one slow answer is no outage."""
        return await self._answer(probe) and await self._answer(probe)

    async def _answer(self, probe: Probe) -> str:
        try:
            async with asyncio.timeout(self._timeout):
                return await probe.check()
        except TimeoutError:
            return f"no answer within {self._timeout:g} s"
        except Exception as error:
            return f"{type(error).__name__}: {error}"

    def _log_changes(self, problems: dict[str, str]) -> None:
        for name in problems.keys() - self._problems.keys():
            _log.warning("%s: %s: %s", "degraded" if self._ready else "not ready", name, problems[name])
        for name in self._problems.keys() - problems.keys():
            _log.info("%s is healthy again", name)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._interval)
            await self.check()


def _needs(service: str, probe: Probe) -> bool:
    return probe.services is None or service in probe.services
