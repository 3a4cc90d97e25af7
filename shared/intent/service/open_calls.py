"""The calls under way: how many there may be, and how they end when the process stops."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator
from typing import Any, Final

from intent.errors import CommandError, Overloaded, Unavailable
from intent.identity import Identity
from intent.service.settings import ServiceSettings

__all__ = ["OpenCalls", "too_many"]

_CALL_RETRY_MS: Final = 1_000
_STREAM_RETRY_MS: Final = 5_000
_STOPPED_RETRY_MS: Final = 100
_ENDING: Final = 1.0
"""Seconds in which a caller can be told that its call ends."""


class _Quota:
    """How many calls each of some names has under way, and how many it may have."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._counts: Counter[Hashable] = Counter()

    def used_up(self, name: Hashable) -> bool:
        return self._counts[name] >= self.limit

    def add(self, name: Hashable) -> None:
        self._counts[name] += 1

    def remove(self, name: Hashable) -> None:
        self._counts[name] -= 1
        if not self._counts[name]:
            # Callers choose their names; those of callers that left must not pile up.
            del self._counts[name]


class OpenCalls:
    """The calls under way, open streams included.

    Args:
        settings: The limits.
    """

    def __init__(self, settings: ServiceSettings) -> None:
        self._limit = settings.calls
        self._calls = _Quota(settings.tenant_calls)
        self._tenant_streams = _Quota(settings.tenant_streams)
        self._caller_streams = _Quota(settings.caller_streams)
        self._finite: dict[asyncio.Task[None], Any] = {}
        self._endless: dict[asyncio.Task[None], Any] = {}
        self._ended: set[asyncio.Task[None]] = set()
        self._idle = asyncio.Event()
        self._idle.set()
        self._closed = False

    @property
    def endless(self) -> int:
        """How many calls are open that would not end by themselves."""
        return len(self._endless)

    def refusal(self) -> CommandError | None:
        """Return why no further call may start now; None when one may."""
        if self._closed:
            return _shutting_down()
        if len(self._finite) + len(self._endless) < self._limit:
            return None
        what = f"this process has {self._limit} calls under way and takes no more at once; try again later"
        return too_many("TOO_MANY_CALLS", what, self._limit, _CALL_RETRY_MS)

    def start(self, rpc: Any, *, endless: bool) -> None:
        """Count the call that the current task answers, until that has ended.

        Args:
            rpc: gRPC's own context of the call.
            endless: True when it would not end by itself soon after `close`.
        """
        task = _current_task()
        (self._endless if endless else self._finite)[task] = rpc
        if not endless:
            self._idle.clear()
        # Only then has gRPC sent the answer.
        task.add_done_callback(self._forget)

    def admit(self, identity: Identity, *, stream: bool) -> None:
        """Count a call of a caller, who is now known; `leave` must follow.

        Raises:
            Overloaded: Its tenant or the caller has as many under way as one process takes.
            Unavailable: It is a stream, and the process is stopping.
        """
        if self._closed and stream:
            raise _shutting_down()
        quotas = list(self._quotas(identity, stream))
        for quota, name in quotas:
            if quota.used_up(name):
                raise self._refused(quota, identity)
        for quota, name in quotas:
            quota.add(name)

    def leave(self, identity: Identity, *, stream: bool) -> None:
        """Count an admitted call no longer."""
        for quota, name in self._quotas(identity, stream):
            quota.remove(name)

    def close(self) -> None:
        """Let no further call start, and end those with UNAVAILABLE that would not end by themselves."""
        self._closed = True
        self._end(self._endless)

    async def idle(self) -> None:
        """Wait until no call is under way, besides those that would not end by themselves."""
        await self._idle.wait()

    def peers(self) -> set[str]:
        """Return the addresses of the callers of the calls under way, as gRPC writes them."""
        return {rpc.peer() for rpc in (*self._finite.values(), *self._endless.values())}

    async def end(self) -> None:
        """End every call with UNAVAILABLE, and wait until all have ended whose callers read that."""
        tasks = [*self._finite, *self._endless]
        self._end(tasks)
        if tasks:
            await asyncio.wait(tasks, timeout=_ENDING)

    def interruption(self) -> Unavailable | None:
        """Return the error for the current task's call, which was cancelled; None: by its caller."""
        task = _current_task()
        return _shutting_down() if task in self._ended and task.uncancel() == 0 else None

    def _forget(self, task: asyncio.Task[None]) -> None:
        self._finite.pop(task, None)
        self._endless.pop(task, None)
        self._ended.discard(task)
        if not self._finite:
            self._idle.set()

    def _end(self, tasks: Iterable[asyncio.Task[None]]) -> None:
        for task in set(tasks) - self._ended:
            self._ended.add(task)
            task.cancel()

    def _quotas(self, identity: Identity, stream: bool) -> Iterator[tuple[_Quota, Hashable]]:
        yield self._calls, identity.tenant
        if stream:
            yield self._tenant_streams, identity.tenant
            yield self._caller_streams, (identity.tenant, identity.actor)

    def _refused(self, quota: _Quota, identity: Identity) -> Overloaded:
        who = f"tenant {identity.tenant}" if identity.tenant else "all callers without a tenant together"
        if quota is self._calls:
            what = f"{who} may have {quota.limit} calls under way in one process; wait until some have ended"
            return too_many("TOO_MANY_CALLS", what, quota.limit, _CALL_RETRY_MS)
        if quota is self._caller_streams:
            who = f"{identity.actor} of {who}"
        what = f"{who} may have {quota.limit} streams open in one process; close some, or share one"
        return too_many("TOO_MANY_STREAMS", what, quota.limit, _STREAM_RETRY_MS)


def too_many(reason: str, message: str, limit: int, retry_ms: int) -> Overloaded:
    """Return the error for what would exceed a limit."""
    return Overloaded(reason, message, metadata={"limit": str(limit)}, retry_after_ms=retry_ms)


def _current_task() -> asyncio.Task[None]:
    task = asyncio.current_task()
    assert task is not None
    return task


def _shutting_down() -> Unavailable:
    what = (
        "the service is shutting down, and nothing that it has accepted is lost; repeat a command with "
        "the same id, resume a subscription after the last position received"
    )
    return Unavailable("SHUTTING_DOWN", what, retry_after_ms=_STOPPED_RETRY_MS)
