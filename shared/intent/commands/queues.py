"""The queues of a lane: one per tenant, bounded in commands and bytes, with a fair share for each."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import zip_longest

from intent.commands.pending import Pending
from intent.errors import Overloaded

__all__ = ["TenantQueues"]


@dataclass(slots=True)
class _Queue:
    """The commands of one tenant, and the bytes that they have together."""

    commands: deque[Pending] = field(default_factory=deque)
    size: int = 0


class TenantQueues:
    """Commands that wait, by tenant.

    A tenant may fill its share, that is the capacity divided by the tenants that have commands here, and
    at least one command. Where tenants have come since one filled a larger share, its newest commands
    are refused to make room for theirs: so a tenant that has few commands is never refused because
    another has many, and the bounds hold all the same.

    Args:
        capacity: The most commands.
        capacity_bytes: The most bytes that they may have together.
    """

    def __init__(self, capacity: int, capacity_bytes: int) -> None:
        self._capacity = capacity
        self._capacity_bytes = capacity_bytes
        self._queues: OrderedDict[str, _Queue] = OrderedDict()
        self.depth = 0
        self.size = 0

    def add(self, pending: Pending) -> None:
        """Queue a command.

        Raises:
            Overloaded: Its tenant has filled its share, or there is no room at all.
        """
        tenant = pending.key.tenant
        queue = self._queues.get(tenant)
        if queue is None:
            queue = _Queue()
            self._make_room(pending, len(self._queues) + 1)
            self._queues[tenant] = queue
        elif self._fits(queue, pending, len(self._queues)):
            self._make_room(pending, len(self._queues))
        else:
            raise self._full(pending, f"{len(queue.commands)} commands of {tenant}")
        queue.commands.append(pending)
        queue.size += pending.size
        self.depth += 1
        self.size += pending.size

    def take(self, most: int, most_bytes: int) -> list[Pending]:
        """Take the next batch: one command per tenant in turn, in each tenant's order."""
        batch: list[Pending] = []
        size = 0
        queues = self._queues
        while queues and len(batch) < most:
            tenant, queue = next(iter(queues.items()))
            pending = queue.commands[0]
            if batch and size + pending.size > most_bytes:
                break
            queue.commands.popleft()
            queue.size -= pending.size
            self.depth -= 1
            self.size -= pending.size
            if queue.commands:
                queues.move_to_end(tenant)
            else:
                del queues[tenant]
            pending.dropped = pending.abandoned
            if not pending.dropped:
                batch.append(pending)
                size += pending.size
        return batch

    def take_submitted(self, most: int, most_bytes: int) -> list[Pending]:
        """Take a batch of commands whose callers wait only for a workflow that carries them."""
        submitted = ([p for p in queue.commands if p.submitters] for queue in self._queues.values())
        turns = (pending for turn in zip_longest(*submitted) for pending in turn if pending is not None)
        batch = list(_fitting(turns, most, most_bytes))
        taken = set(batch)
        if taken:
            self._remove(taken.__contains__)
        return batch

    def drop_abandoned(self) -> None:
        """Drop the commands that nobody waits for any more."""

        def abandoned(pending: Pending) -> bool:
            pending.dropped = pending.abandoned
            return pending.dropped

        self._remove(abandoned)

    def _fits(self, queue: _Queue, pending: Pending, tenants: int) -> bool:
        """Return whether a tenant's queue with one more command is within its share."""
        share = max(1, self._capacity // tenants)
        return len(queue.commands) < share and queue.size + pending.size <= self._capacity_bytes // tenants

    def _make_room(self, pending: Pending, tenants: int) -> None:
        """Refuse the newest commands of tenants beyond their share until a command fits.

        Raises:
            Overloaded: No tenant is beyond its share.
        """
        while self.depth >= self._capacity or self.size + pending.size > self._capacity_bytes:
            queue = max(self._queues.values(), key=self._weight, default=_Queue())
            if len(queue.commands) < 2 or self._weight(queue) * tenants <= 1:
                raise self._full(pending, f"{self.depth} commands")
            newest = queue.commands.pop()
            queue.size -= newest.size
            self.depth -= 1
            self.size -= newest.size
            newest.dropped = True
            newest.refuse(self._full(newest, f"{len(queue.commands)} commands of {newest.key.tenant}"))

    def _weight(self, queue: _Queue) -> float:
        """Return how much of the capacity a queue takes."""
        return max(len(queue.commands) / self._capacity, queue.size / self._capacity_bytes)

    def _remove(self, wanted: Callable[[Pending], bool]) -> None:
        for tenant, queue in list(self._queues.items()):
            kept = deque(pending for pending in queue.commands if not wanted(pending))
            if len(kept) < len(queue.commands):
                size = sum(pending.size for pending in kept)
                self.depth -= len(queue.commands) - len(kept)
                self.size -= queue.size - size
                queue.commands, queue.size = kept, size
                if not kept:
                    del self._queues[tenant]

    def _full(self, pending: Pending, what: str) -> Overloaded:
        return Overloaded(
            "LANE_FULL",
            f"{what} are waiting already, which is as many as may; try again in a moment",
            metadata={"depth": str(self.depth), "bytes": str(self.size), "tenant": pending.key.tenant},
            retry_after_ms=1000,
        )


def _fitting(commands: Iterable[Pending], most: int, most_bytes: int) -> Iterator[Pending]:
    """Yield commands up to a number and a size; the first whatever its size."""
    size = 0
    for number, pending in enumerate(commands):
        size += pending.size
        if number == most or (number and size > most_bytes):
            return
        yield pending
