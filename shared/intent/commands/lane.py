"""A lane: a bounded queue of commands, of which one batch is in flight at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import Context
from dataclasses import dataclass
from typing import Any, Final

from intent.commands.pending import Pending
from intent.commands.queues import TenantQueues
from intent.waiting import now, set_within

__all__ = ["Lane", "LaneLimits", "Send"]

Send = Callable[[list[Pending], bool], Awaitable[bool]]
"""Sends a batch and returns whether its outcomes are known. With True, it need not wait for them once a
workflow carries the batch and nobody else waits."""

_LOOK_AGAIN: Final = 0.5


@dataclass(frozen=True, slots=True)
class LaneLimits:
    """The bounds of a lane.

    Attributes:
        batch_commands: The most commands in one batch.
        batch_bytes: The most bytes in one batch; a single larger command is sent alone.
        capacity: The most commands that may queue.
        capacity_bytes: The most bytes that they may have together.
        crowd: From this number of commands in a batch on, the lane pauses before the next batch.
        pause: How long it pauses, as a share of the time that the batch took.
        longest_pause: How long it pauses at most, in seconds.
        overdue_after: Seconds after which a batch without outcomes no longer holds up the others.
    """

    batch_commands: int = 256
    batch_bytes: int = 240 * 1024
    capacity: int = 10_000
    capacity_bytes: int = 64 * 1024 * 1024
    crowd: int = 20
    pause: float = 0.5
    longest_pause: float = 0.05
    overdue_after: float = 10.0


class Lane:
    """A queue of commands that are sent in batches, one at a time.

    The commands that arrive while a batch is in flight form the next one, so an idle lane adds no
    latency and a busy one pays for a workflow once per batch (group commit). After a large batch that
    left nothing behind it pauses for a part of the time that the batch took: the workflow of the next
    one costs the same for twice as many commands. Tenants take turns in a batch, so that a tenant with a
    long queue does not keep the others waiting.

    A batch whose outcomes do not come, because PostgreSQL is unavailable or a command of it is stuck, is
    passed after a while. From then on, until a batch is finished in time, submitted commands do not wait
    for the batch before them: a workflow that carries them is all that their callers need. The order of
    the commands of one aggregate is kept by the version check of the append.

    Args:
        send: Sends a batch; the lane is free again when it returns. It must not raise.
        limits: The bounds.
    """

    def __init__(self, send: Send, limits: LaneLimits) -> None:
        self._send = send
        self._limits = limits
        self._queues = TenantQueues(limits.capacity, limits.capacity_bytes)
        self._runner: asyncio.Task[None] | None = None
        self._sending: set[asyncio.Task[bool]] = set()
        self._stuck = False
        self._enough = asyncio.Event()
        self._changed = asyncio.Event()

    @property
    def depth(self) -> int:
        """The number of queued commands, without those in flight."""
        return self._queues.depth

    @property
    def busy(self) -> bool:
        """True while a batch is in flight or commands queue."""
        return self._runner is not None or bool(self._sending)

    def offer(self, pending: Pending) -> None:
        """Queue a command.

        Raises:
            Overloaded: The lane is full, or the tenant has filled its share of it.
        """
        self._queues.add(pending)
        self._changed.set()
        if self._queues.depth >= self._limits.batch_commands:
            self._enough.set()
        if self._runner is None:
            # A context of its own: the lane works for all callers, not for the one that started it.
            loop = asyncio.get_running_loop()
            self._runner = loop.create_task(self._run(), name="lane", context=Context())

    def drop_abandoned(self) -> None:
        """Drop the queued commands that nobody waits for any more."""
        self._queues.drop_abandoned()

    async def drained(self) -> None:
        """Wait until no command is queued or in flight."""
        while self.busy:
            tasks = {*self._sending, *([self._runner] if self._runner is not None else [])}
            await asyncio.wait(tasks)
            await asyncio.sleep(0)

    async def _run(self) -> None:
        limits = self._limits
        try:
            while self._queues.depth:
                batch, started = self._queues.take(limits.batch_commands, limits.batch_bytes), now()
                all_taken = not self._queues.depth
                if batch:
                    await self._sent(self._start(batch))
                if all_taken and self._queues.depth and len(batch) >= limits.crowd:
                    await self._gather(limits.pause * (now() - started))
        finally:
            self._runner = None

    async def _gather(self, seconds: float) -> None:
        """Wait for more commands, unless there are enough for a full batch."""
        self._enough.clear()
        if self._queues.depth < self._limits.batch_commands:
            await set_within(self._enough, min(seconds, self._limits.longest_pause))

    def _start(self, batch: list[Pending], *, hurried: bool = False) -> asyncio.Task[bool]:
        """Send a batch by a task of its own, so that it can be passed."""
        task = asyncio.create_task(self._settle(batch, hurried), name="lane-batch")
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)
        return task

    async def _settle(self, batch: list[Pending], hurried: bool) -> bool:
        known = await self._send(batch, hurried)
        if known and not hurried:
            self._stuck = False
        self._changed.set()
        return known

    async def _sent(self, sending: asyncio.Task[bool]) -> None:
        """Wait until a batch is finished or overdue; while others are stuck, send what was submitted."""
        until = now() + self._limits.overdue_after
        while not sending.done() and (left := until - now()) > 0:
            if not self._stuck:
                await asyncio.wait([sending], timeout=left)
                continue
            self._changed.clear()
            batch = self._queues.take_submitted(self._limits.batch_commands, self._limits.batch_bytes)
            if batch:
                await self._accepted(batch, left)
            else:
                await set_within(self._changed, min(left, _LOOK_AGAIN))
        if not sending.done():
            self._stuck = True

    async def _accepted(self, batch: list[Pending], seconds: float) -> None:
        """Send submitted commands and wait until a workflow carries them, or it is clear that none will."""
        either: list[asyncio.Future[Any]] = [self._start(batch, hurried=True)]
        if batch[0].accepted is not None:
            either.append(batch[0].accepted)
        await asyncio.wait(either, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
