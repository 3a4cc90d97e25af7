"""Orders of several tenants through four contexts while everything below them is killed and restarted."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from intent.client import IntentClient
from intent.contracts import Registry
from intent.dev.platform import ContextService, LocalPlatform
from intent_contracts.intent.v1 import SagaInfo
from payments.ledger import ProviderLedger
from temporalio.client import Client

from demo.books import Books, Outcome
from demo.plan import SHARES, Fate, Plan, planned
from demo.run import Run
from demo.world import CONTEXTS, World

from .heard import followers_behind, misheard
from .logs import Log, check_log, check_read_models
from .outages import Outage, Outages, Victim, outages_planned, victims
from .verdict import Verdict

__all__ = ["OrderStorm", "Result", "plan_of", "running"]

T = TypeVar("T")
PATIENCE = 300.0
"""Seconds without any change after which it counts as stuck: longer than any wait for a retry."""
_CALL_PATIENCE = 900.0
_AT_ONCE = 32
_LOOK = 0.5
_ROLES = ("customer", "service", "operator")
_NOT_WELL_OVER = 'ExecutionStatus NOT IN ("Completed", "ContinuedAsNew")'
# More change their minds than in the demo.
_SHARES = {**SHARES, Fate.REGRETTED: 10, Fate.REGRETTED_LATE: 24}
_ENVIRONMENT = {
    "PAYMENTS_PROVIDER_LATENCY_MS": "50",
    "PAYMENTS_PROVIDER_SLOW_MS": "1000",
    "SHIPPING_CARRIER_LATENCY_MS": "50",
    "SHIPPING_CARRIER_SLOW_MS": "1000",
    "SHIPPING_CARRIER_HAND_OVER_MS": "1000",
    "SHIPPING_CARRIER_ARRIVE_MS": "1000",
}


def plan_of(seed: int, orders: int, tenants: int = 3) -> Plan:
    """Return the plan of the orders."""
    return planned(f"chaos-{seed}", tenants=tenants, orders=orders, seed=seed, shares=_SHARES)


@asynccontextmanager
async def running(
    platform: LocalPlatform, further: Mapping[str, str] | None = None
) -> AsyncIterator[dict[str, ContextService]]:
    """Run the four contexts as processes of their own for the duration of the block.

    Args:
        platform: The platform.
        further: Variables besides those of the storm.
    """
    environment = {**_ENVIRONMENT, **(further or {})}
    services = {
        name: platform.service(name, environment=environment, log_level="warning") for name in CONTEXTS
    }
    try:
        await asyncio.gather(*(platform.prepare(name) for name in CONTEXTS))
        await asyncio.gather(*(asyncio.to_thread(service.start) for service in services.values()))
        yield services
    finally:
        for service in services.values():
            service.kill()


@dataclass(frozen=True)
class Result:
    """The result of a storm.

    Attributes:
        problems: What does not hold, in sentences.
        outcomes: The number of orders with each outcome.
        kills: The number of kills.
        starts_failed: Failed starts while something that the process needs was unavailable, in sentences.
        sagas: The number of sagas in all contexts.
        events: The number of recorded events in all contexts.
        quiet_after: Seconds from the moment from which everything ran to the last saga's end.
    """

    problems: list[str]
    outcomes: Counter[Outcome]
    kills: int
    starts_failed: list[str]
    sagas: int
    events: int
    quiet_after: float


@dataclass
class OrderStorm:
    """One storm over the four contexts.

    Attributes:
        platform: The platform on which they run.
        services: The contexts, by name.
        plan: The planned orders.
        seconds: The time in which orders are placed and processes killed.
        kills: The number of kills.
        seed: The seed of the random choices.
        report: Called with the progress.
    """

    platform: LocalPlatform
    services: dict[str, ContextService]
    plan: Plan
    seconds: float
    kills: int
    seed: int
    report: Callable[[str], None] = lambda words: None
    _down: set[str] = field(default_factory=set)

    async def blow(self) -> Result:
        """Run the storm, wait until everything is quiet, and check the invariants."""
        async with AsyncExitStack() as stack:
            world = World({name: await stack.enter_async_context(self._client(name)) for name in CONTEXTS})
            run = Run(world, self.plan, patience=PATIENCE)
            await run.stock_up()
            outages = await self._storm(run)
            began = time.monotonic()
            books = await self._quiet(run)
            sagas = await self._sagas_over(world)
            quiet_after = time.monotonic() - began
            return await self._result(world, books, sagas, outages, quiet_after)

    def _client(self, name: str) -> IntentClient:
        registry, target = Registry.load(), self.services[name].target
        return IntentClient.connect(target, registry=registry, timeout=_CALL_PATIENCE, roles=_ROLES)

    async def _storm(self, run: Run) -> Outages:
        outages = Outages(*self._planned(), self._changed)
        placed = 0

        def on_placed() -> None:
            nonlocal placed
            placed += 1
            down = f", down: {', '.join(sorted(self._down))}" if self._down else ""
            self.report(f"{placed} of {len(self.plan.wishes)} orders placed, {outages.kills} kills{down}")

        run.on_placed = on_placed
        async with asyncio.TaskGroup() as both:
            both.create_task(run.place(_AT_ONCE, over=self.seconds))
            both.create_task(outages.happen())
        return outages

    def _planned(self) -> tuple[Mapping[str, Victim], Mapping[str, Sequence[Outage]]]:
        """Return what is killed, and when."""
        everything = victims(self.platform, self.services)
        return everything, outages_planned(sorted(everything), self.seed, self.seconds, self.kills)

    def _changed(self, name: str, came: bool) -> None:
        (self._down.discard if came else self._down.add)(name)

    async def _quiet(self, run: Run) -> list[Books]:
        """Wait until every order is at its end and the books add up, or nothing changes any more."""
        at_end = 0
        async for at_end in run.ended():
            self.report(f"{at_end} of {len(self.plan.wishes)} orders at their end")
        self.report("payments and stock settle")
        return await run.settled(None if at_end == len(self.plan.wishes) else 0)

    async def _sagas_over(self, world: World) -> list[SagaInfo]:
        """Wait until every saga is over, or nothing changes any more; return all sagas."""

        def left(sagas: list[SagaInfo]) -> int:
            return sum(not saga.HasField("ended_at") for saga in sagas)

        return await self._quiet_of("sagas", lambda: self._sagas(world), left)

    async def _workflows_left(self) -> list[str]:
        """Wait until no workflow runs, or nothing changes any more; return those that run or failed."""
        client = await Client.connect(self.platform.temporal.address)

        async def look() -> list[str]:
            return [
                f"workflow {found.id} is {'unknown' if found.status is None else found.status.name.lower()}"
                async for found in client.list_workflows(
                    'ExecutionStatus NOT IN ("Completed", "ContinuedAsNew")'
                )
            ]

        return await self._quiet_of("workflows", look, len)

    async def _quiet_of(
        self, what: str, look: Callable[[], Awaitable[list[T]]], left_of: Callable[[list[T]], int]
    ) -> list[T]:
        """Poll until nothing is left to wait for, or nothing changes any more; return the last result."""
        before: list[T] = []
        moved = time.monotonic()
        while True:
            seen = await look()
            left = left_of(seen)
            if not left or time.monotonic() - moved > PATIENCE:
                return seen
            if seen != before:
                before, moved = seen, time.monotonic()
            self.report(f"{left} {what} are not over")
            await asyncio.sleep(_LOOK)

    async def _sagas(self, world: World) -> list[SagaInfo]:
        return [
            saga
            for client in world.clients.values()
            for tenant in self.plan.stock
            async for saga in client.acting(tenant=tenant).sagas.every()
        ]

    async def _result(
        self, world: World, books: list[Books], sagas: list[SagaInfo], outages: Outages, quiet_after: float
    ) -> Result:
        logs: list[Log] = []
        broken: list[str] = []
        for name, client in world.clients.items():
            self.report(f"checking the log and the read models of {name}")
            try:
                logs.append(await check_log(self.platform.postgres.dsn, name))
                await check_read_models(self.platform.postgres.dsn, name, client, PATIENCE)
            except AssertionError as problem:
                broken.append(str(problem))
        ledger = ProviderLedger(self.platform.folder / "payments-provider.sqlite3")
        verdict = Verdict(books, sagas, ledger.charges(), logs)
        self.report("comparing what sagas heard with the logs")
        heard = await misheard(self.platform.temporal.address, logs, [saga.id for saga in sagas])
        unfollowed = await self._quiet_of("followers", self._followers_behind, len)
        problems = [*verdict.problems(), *heard, *unfollowed, *await self._workflows_left()]
        return Result(
            problems=[*problems, *broken, *self._not_running()],
            outcomes=sum((one.outcomes() for one in books), Counter[Outcome]()),
            kills=outages.kills,
            starts_failed=outages.starts_failed,
            sagas=len(sagas),
            events=sum(map(len, logs)),
            quiet_after=quiet_after,
        )

    async def _followers_behind(self) -> list[str]:
        return await followers_behind(self.platform.postgres.dsn, CONTEXTS)

    def _not_running(self) -> list[str]:
        gone = [service for service in self.services.values() if not service.process.alive]
        return [
            f"{service.context} ended by itself ({service.process.exit_code}): "
            f"{service.process.last_log_line()}"
            for service in gone
        ]
