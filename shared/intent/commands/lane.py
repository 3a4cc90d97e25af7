"""A lane: a bounded queue of commands, of which one batch is in flight at a time."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable
from contextvars import Context
from dataclasses import dataclass

from intent.commands.pending import Pending
from intent.errors import Overloaded
from intent.waiting import now, set_within

__all__ = ["Lane", "LaneLimits"]


@dataclass(frozen=True, slots=True)
class LaneLimits:
    """The bounds of a lane.

    Attributes:
        batch_commands: The most commands in one batch.
        batch_bytes: The most bytes in one batch; a single larger command is sent alone.
        capacity: The most commands that may queue.
        crowd: From this number of commands in a batch on, the lane pauses before the next batch.
        pause: How long it pauses, as a share of the time that the batch took.
        longest_pause: How long it pauses at most, in seconds.
    """

    batch_commands: int = 256
    batch_bytes: int = 240 * 1024
    capacity: int = 10_000
    crowd: int = 20
    pause: float = 0.5
    longest_pause: float = 0.05


class Lane:
    """A queue of commands that are sent in batches, one at a time.

    The commands that arrive while a batch is in flight form the next one, so an idle lane adds no
    latency and a busy one pays for a workflow once per batch (group commit). After a large batch that
    left nothing behind it pauses for a part of the time that the batch took: the workflow of the next
    one costs the same for twice as many commands. Tenants take turns in a batch, so that a tenant with a
    long queue does not keep the others waiting.

    Args:
        send: Sends a batch; the lane is free again when it returns. It must not raise.
        limits: The bounds.
    """

    def __init__(self, send: Callable[[list[Pending]], Awaitable[None]], limits: LaneLimits) -> None:
        self._send = send
        self._limits = limits
        self._queues: OrderedDict[str, deque[Pending]] = OrderedDict()
        self._depth = 0
        self._runner: asyncio.Task[None] | None = None
        self._enough = asyncio.Event()

    @property
    def depth(self) -> int:
        """The number of queued commands, without those in flight."""
        return self._depth

    @property
    def busy(self) -> bool:
        """True while a batch is in flight or commands queue."""
        return self._runner is not None

    def offer(self, pending: Pending) -> None:
        """Queue a command.

        Raises:
            Overloaded: The lane is full.
        """
        if self._depth >= self._limits.capacity:
            raise Overloaded(
                "LANE_FULL",
                f"{self._depth} commands are waiting already; try again in a moment",
                metadata={"depth": str(self._depth)},
                retry_after_ms=1000,
            )
        self._queues.setdefault(pending.key.tenant, deque()).append(pending)
        self._depth += 1
        if self._depth >= self._limits.batch_commands:
            self._enough.set()
        if self._runner is None:
            # A context of its own: the lane works for all callers, not for the one that started it.
            loop = asyncio.get_running_loop()
            self._runner = loop.create_task(self._run(), name="lane", context=Context())

    async def drained(self) -> None:
        """Wait until no command is queued or in flight."""
        while self._runner is not None:
            await asyncio.wait([self._runner])

    async def _run(self) -> None:
        try:
            while self._depth:
                batch, started = self._fill(), now()
                all_taken = not self._depth
                if batch:
                    await self._send(batch)
                if all_taken and self._depth and len(batch) >= self._limits.crowd:
                    await self._gather(self._limits.pause * (now() - started))
        finally:
            self._runner = None

    async def _gather(self, seconds: float) -> None:
        """Wait for more commands, unless there are enough for a full batch."""
        self._enough.clear()
        if self._depth < self._limits.batch_commands:
            await set_within(self._enough, min(seconds, self._limits.longest_pause))

    def _fill(self) -> list[Pending]:
        """Take the next batch from the queues: one command per tenant in turn, in each tenant's order."""
        batch: list[Pending] = []
        size = 0
        while self._queues and len(batch) < self._limits.batch_commands:
            tenant, queue = next(iter(self._queues.items()))
            if batch and size + queue[0].size > self._limits.batch_bytes:
                break
            pending = queue.popleft()
            self._depth -= 1
            self._queues.move_to_end(tenant)
            if not queue:
                del self._queues[tenant]
            pending.dropped = pending.abandoned
            if not pending.dropped:
                batch.append(pending)
                size += pending.size
        return batch
