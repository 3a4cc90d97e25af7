"""PostgreSQL of one context refuses to write for longer than its sagas may be held up."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, replace
from typing import Final

import asyncpg
from intent.dev.platform import LocalPlatform
from intent_contracts.intent.v1 import SagaStatus

from demo.books import Outcome
from demo.plan import Fate, Plan, planned
from demo.world import CONTEXTS

from .orders import OrderStorm, Result
from .outages import Outage, Victim

__all__ = ["PARKS_SOON", "ReadOnlyStorm", "plan_without_trouble", "read_only_of"]

PARKS_SOON: Final = {"INTENT_SAGA_PARK_AFTER": "5"}
"""The variable by which a saga that is held up is stuck after seconds, in place of a day."""
_BEGIN: Final = 2.0
"""Seconds after which writing ends, so that sagas are in flight."""
_LOOK: Final = 0.5
_CONTEXTS: Final = ("inventory", "payments", "shipping")
"""Those to which sagas of other contexts send commands."""


def plan_without_trouble(seed: int, orders: int, tenants: int) -> Plan:
    """Return a plan of orders with which nothing goes wrong by itself, so that all must complete."""
    return planned(f"held-{seed}", tenants=tenants, orders=orders, seed=seed, shares={Fate.PLAIN: 1})


def read_only_of(platform: LocalPlatform, seed: int) -> _ReadOnly:
    """Return a context's PostgreSQL; which one follows from the seed."""
    return _ReadOnly(platform, random.Random(seed).choice(_CONTEXTS))


@dataclass(frozen=True, slots=True)
class _ReadOnly:
    """The PostgreSQL of one context; while it is down it answers, and refuses to write.

    Attributes:
        platform: The platform.
        context: The context.
    """

    platform: LocalPlatform
    context: str

    @property
    def name(self) -> str:
        """Its name."""
        return f"writing to {self.context}'s PostgreSQL"

    def kill(self) -> None:
        """Refuse to write from now on."""
        asyncio.run(self._run("set default_transaction_read_only = on"))

    def start(self) -> None:
        """Write again."""
        asyncio.run(self._run("reset default_transaction_read_only"))

    async def _run(self, change: str) -> None:
        role = f"{self.context}_service"
        connection = await asyncpg.connect(self.platform.postgres.dsn)
        try:
            await connection.execute(f"alter role {role} {change}")
            # As after a failover: only new connections have the setting.
            await connection.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity where usename = $1", role
            )
        finally:
            await connection.close()


@dataclass
class ReadOnlyStorm(OrderStorm):
    """Orders while one context cannot write; its one kill lasts as long as the storm.

    Attributes:
        held_up: The ids of the sagas that were seen stuck.
    """

    held_up: frozenset[str] = frozenset()

    def _planned(self) -> tuple[Mapping[str, Victim], Mapping[str, Sequence[Outage]]]:
        victim = read_only_of(self.platform, self.seed)
        return {victim.name: victim}, {victim.name: [Outage(_BEGIN, self.seconds)]}

    async def blow(self) -> Result:
        """Run the storm, and check besides that it held sagas up, and that each of them completed."""
        watching = asyncio.create_task(self._watch())
        try:
            result = await super().blow()
        finally:
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching
        problems = list(result.problems)
        if not self.held_up:
            problems.append("no saga was stuck while its context could not write")
        problems += [
            f"{number} orders are {outcome.value}, though nothing was rejected"
            for outcome, number in result.outcomes.items()
            if outcome is not Outcome.DELIVERED
        ]
        return replace(result, problems=problems)

    async def _watch(self) -> None:
        """Collect the sagas that are stuck, again and again."""
        async with AsyncExitStack() as stack:
            clients = [await stack.enter_async_context(self._client(name)) for name in CONTEXTS]
            while True:
                for client in clients:
                    for tenant in self.plan.stock:
                        sagas = client.acting(tenant=tenant).sagas
                        stuck = [saga.id async for saga in sagas.every(status=SagaStatus.SAGA_STATUS_STUCK)]
                        self.held_up |= frozenset(stuck)
                await asyncio.sleep(_LOOK)
