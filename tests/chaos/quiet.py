"""What must hold after a round of the storm of faults, once it is quiet."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable

from intent_contracts.intent.v1 import CommandResult, SagaStatus
from intent_contracts.orders.v1 import FulfilOrder
from temporalio.client import Client

from .bed import CONTEXTS, Bed
from .heard import followers_behind, misheard
from .logs import Log, check_log, check_read_models, fetched
from .traffic import Traffic
from .verdict import saga_of
from .witnesses import Consumed, Subscriber

__all__ = ["Quiet"]

PATIENCE = 90.0
"""Seconds after which what is not quiet counts as stuck."""
_LOOK = 0.2
_OPEN = 'ExecutionStatus NOT IN ("Completed", "ContinuedAsNew")'


class Quiet:
    """Waits until a round is quiet, and checks its invariants.

    Args:
        bed: The installation.
        traffic: The callers of the round.
        consumed: What the consumers were given since the bed was laid.
        subscribers: Those who followed the tenants of the round.
    """

    def __init__(self, bed: Bed, traffic: Traffic, consumed: Consumed, subscribers: list[Subscriber]) -> None:
        self._bed = bed
        self._traffic = traffic
        self._consumed = consumed
        self._subscribers = subscribers
        self._tenants = {*traffic.tenants, traffic.shop}
        self.log: Log = []

    async def check(self) -> None:
        """Raise AssertionError with everything that does not hold."""
        traffic = self._traffic
        await self._until("processes are not ready", self._not_ready)
        await self._until("sagas are not over", self._sagas_not_over)
        await self._until("workflows are open", self._workflows_open)
        async with asyncio.timeout(PATIENCE):
            await traffic.collect()
        await traffic.repeat()
        dsn = self._bed.platform.postgres.dsn
        logs = {context: await check_log(dsn, context) for context in CONTEXTS}
        self.log = [row for row in logs["orders"] if row["tenant"] in self._tenants]
        sagas = [saga_of(traffic.shop, order) for order in traffic.checked_out]
        heard = await misheard(self._bed.platform.temporal.address, logs.values(), sagas)
        problems = [*traffic.problems, *self._against_answers(), *self._of_orders_of_sagas(), *heard]
        assert not problems, "\n".join(problems[:40])
        await self._until("subscribers do not have the log", self._subscribers_behind)
        await self._until("sagas do not have the log", self._followers_behind)
        await self._until("consumers are behind", self._consumers_behind)
        await self._until("shipping does not know all orders", self._unknown_orders)
        wrong = self._consumed.out_of_order(self._tenants)
        assert not wrong, "\n".join(wrong)
        context = random.Random(traffic.seed).choice(CONTEXTS)
        await check_read_models(dsn, context, self._bed.clients[context].acting(tenant="t"), PATIENCE)
        await self._until("processes are not ready", self._not_ready)

    async def _until(self, what: str, look: Callable[[], Awaitable[list[str]]]) -> None:
        """Wait until there is nothing left to wait for."""
        end = time.monotonic() + PATIENCE
        while left := await look():
            assert time.monotonic() < end, f"{what} after {PATIENCE:.0f} s:\n" + "\n".join(left[:20])
            await asyncio.sleep(_LOOK)

    async def _not_ready(self) -> list[str]:
        problems = {p.name: await asyncio.to_thread(p.problem) for p in self._bed.processes}
        return [f"{name}: {problem}" for name, problem in problems.items() if problem]

    async def _sagas_not_over(self) -> list[str]:
        """Return the sagas of the round that are not completed yet; a compensated one raises."""
        sagas = self._bed.clients["orders"].acting(tenant=self._traffic.shop).sagas
        found = {saga.id: saga async for saga in sagas.every(type=FulfilOrder.DESCRIPTOR.full_name)}
        left = []
        for order in self._traffic.checked_out:
            id_ = saga_of(self._traffic.shop, order)
            status = found[id_].status if id_ in found else SagaStatus.SAGA_STATUS_UNSPECIFIED
            name = f"saga {id_} is {SagaStatus.Name(status)}"
            assert status != SagaStatus.SAGA_STATUS_COMPENSATED, f"{name}, though nothing was rejected"
            if status != SagaStatus.SAGA_STATUS_COMPLETED:
                left.append(f"{name} at {found[id_].step}" if id_ in found else f"{name}: it did not begin")
        return left

    async def _workflows_open(self) -> list[str]:
        client = await Client.connect(self._bed.platform.temporal.address)
        return [
            f"workflow {found.id} is {'unknown' if found.status is None else found.status.name.lower()}"
            async for found in client.list_workflows(_OPEN)
        ]

    async def _followers_behind(self) -> list[str]:
        return await followers_behind(self._bed.platform.postgres.dsn, CONTEXTS)

    def _against_answers(self) -> list[str]:
        """Compare the log of the tenants of commands with the answers to their callers, both ways."""
        answers = {
            (sent.tenant, str(sent.command_id)): sent.answer
            for sent in [*self._traffic.sent, *(sent for sent, _ in self._traffic.submitted)]
        }
        recorded: dict[tuple[str, str], list[int]] = defaultdict(list)
        for row in self.log:
            if row["tenant"] != self._traffic.shop:
                recorded[row["tenant"], str(row["command_id"])].append(row["position"])
        promised = {
            key: [event.position for event in answer.events]
            for key, answer in answers.items()
            if isinstance(answer, CommandResult) and answer.events
        }
        return [
            f"command {key[1]} of {key[0]} was answered with events at {promised.get(key)}, the log has them "
            f"at {recorded.get(key)}"
            for key in promised.keys() | recorded.keys()
            if promised.get(key) != recorded.get(key)
        ]

    def _of_orders_of_sagas(self) -> list[str]:
        """Return the orders that were not fulfilled exactly once, in sentences."""
        happened: dict[str, Counter[str]] = defaultdict(Counter)
        for row in self.log:
            if row["tenant"] == self._traffic.shop:
                happened[row["aggregate_id"]][row["type"].removeprefix("orders.v1.")] += 1
        expected = Counter(
            ["OrderPlaced", "CheckoutStarted", "OrderConfirmed", "OrderShipped", "OrderCompleted"]
        )
        return [
            f"{order} of {self._traffic.shop} has {dict(happened[order])}"
            for order in self._traffic.checked_out
            if happened[order] != expected
        ]

    async def _subscribers_behind(self) -> list[str]:
        return [problem for one in self._subscribers if (problem := one.problem(self.log))]

    async def _consumers_behind(self) -> list[str]:
        missing = self._consumed.missing(self.log)
        return [f"{missing} of {len(self.log)} events were not delivered"] if missing else []

    async def _unknown_orders(self) -> list[str]:
        """Return the orders that the consumer in shipping has not noted, or not up to their end."""
        query = "select tenant, order_id, status from shipping.known_order"
        known = {
            (row["tenant"], row["order_id"]): row["status"]
            for row in await fetched(self._bed.platform.postgres.dsn, query)
        }
        fulfilled = {(self._traffic.shop, order) for order in self._traffic.checked_out}
        placed = {(row["tenant"], row["aggregate_id"]) for row in self.log}
        return [
            f"{order} of {tenant} is {known.get((tenant, order), 'unknown')}"
            for tenant, order in placed
            if (tenant, order) not in known
            or ((tenant, order) in fulfilled and known[tenant, order] != "completed")
        ]
