"""What may go wrong in a round of the storm of faults, by name; details follow from the round's seed."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Final

from ..support.faults import FAULTS, fault
from ..support.pooler import no_pooler
from .bed import CONTEXTS, Bed, Process

__all__ = ["MENU", "Trouble"]

_LONG: Final = 0.1
"""The share of faults that last longer than leases, time-outs and patience inside the processes."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that is about to go wrong.

    Attributes:
        words: What, for people.
        happening: Lets it happen for the duration of the block; at its end all is as it was.
        lasts: How long it should last, in seconds.
    """

    words: str
    happening: AbstractAsyncContextManager[None]
    lasts: float


Chooser = Callable[[Bed, random.Random], Trouble]


@dataclass(frozen=True, slots=True)
class _Schema:
    """A context's schema, as faults need it."""

    context: str
    admin: str


def _of_postgres(name: str, bed: Bed, chance: random.Random) -> Trouble:
    # Orders takes most of the load.
    context = chance.choice(("orders", "orders", *CONTEXTS))
    lasts = _duration(chance)
    words = f"{name} in the PostgreSQL of {context} for {lasts:.1f} s"
    return Trouble(words, _faulted(bed, _Schema(context, bed.platform.postgres.dsn), name), lasts)


@asynccontextmanager
async def _faulted(bed: Bed, schema: _Schema, name: str) -> AsyncIterator[None]:
    async with fault(schema, name):
        yield
    if bed.pooler is not None:
        # PgBouncer keeps its connections, and with them the settings of the role when they were made.
        async with fault(schema, "reset"):
            await asyncio.sleep(0.3)


def _duration(chance: random.Random, shortest: float = 0.3, longest: float = 2.0) -> float:
    return chance.uniform(9, 13) if chance.random() < _LONG else chance.uniform(shortest, longest)


def _silent_process(bed: Bed, chance: random.Random) -> Trouble:
    process, lasts = chance.choice(bed.processes), _duration(chance)

    @asynccontextmanager
    async def happening() -> AsyncIterator[None]:
        with process.silent():
            yield
        await _replaced_if_it_ends(process)

    return Trouble(f"{process.name} is suspended for {lasts:.1f} s", happening(), lasts)


async def _replaced_if_it_ends(process: Process) -> None:
    """Start a process again that takes itself for stuck after a long suspension, as a cluster does."""
    while process.service.process.alive:
        if not await asyncio.to_thread(process.problem):
            return
        await asyncio.sleep(0.2)
    await process.start()


def _silent_temporal(bed: Bed, chance: random.Random) -> Trouble:
    lasts = _duration(chance)

    @asynccontextmanager
    async def happening() -> AsyncIterator[None]:
        pid = bed.platform.temporal.pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    return Trouble(f"Temporal is suspended for {lasts:.1f} s", happening(), lasts)


def _killed_process(bed: Bed, chance: random.Random) -> Trouble:
    process = chance.choice(bed.processes)
    return Trouble(f"{process.name} is killed", _down([process]), _pause(chance))


def _killed_context(bed: Bed, chance: random.Random) -> Trouble:
    context = chance.choice(CONTEXTS)
    return Trouble(f"every process of {context} is killed", _down(bed.of(context)), _pause(chance))


def _pause(chance: random.Random) -> float:
    return chance.uniform(0.0, 1.0)


@asynccontextmanager
async def _down(processes: list[Process]) -> AsyncIterator[None]:
    for process in processes:
        await asyncio.to_thread(process.service.kill)
    yield
    await asyncio.gather(*(process.start() for process in processes))


def _restarted_process(bed: Bed, chance: random.Random) -> Trouble:
    process = chance.choice(bed.processes)

    @asynccontextmanager
    async def happening() -> AsyncIterator[None]:
        await _restarted(process)
        yield

    return Trouble(f"{process.name} is stopped and started", happening(), 0)


async def _restarted(process: Process) -> None:
    await asyncio.to_thread(process.service.stop)
    code = process.service.process.exit_code
    assert code == 0, f"{process.name} ended with {code} when it was asked to stop"
    await process.start()


def _server(name: str, how: str, bed: Bed, chance: random.Random) -> Trouble:
    server = bed.platform.postgres if name == "PostgreSQL" else bed.platform.temporal

    @asynccontextmanager
    async def happening() -> AsyncIterator[None]:
        await asyncio.to_thread(server.kill if how == "killed" else server.stop)
        yield
        await asyncio.to_thread(server.start)

    return Trouble(f"{name} is {how}", happening(), _pause(chance))


def _standby(bed: Bed, chance: random.Random) -> Trouble:
    lasts = _duration(chance)

    @asynccontextmanager
    async def happening() -> AsyncIterator[None]:
        async with asyncio.timeout(60):
            await bed.pair.synchronise()
        try:
            bed.pair.stall()
            try:
                yield
            finally:
                bed.pair.resume()
        finally:
            await bed.pair.part()

    return Trouble(f"a synchronous standby stalls for {lasts:.1f} s", happening(), lasts)


def _mixed_releases(bed: Bed, chance: random.Random) -> Trouble:
    first, second = chance.sample(bed.orders, 2)
    bed.releases += 1
    release = bed.releases

    @asynccontextmanager
    async def happening() -> AsyncIterator[None]:
        first.release.write_text(str(release))
        await _restarted(first)
        yield
        second.release.write_text(str(release))
        await _restarted(second)

    return Trouble(f"a release that {second.name} cannot read beside it", happening(), _duration(chance))


def _killed_pooler(bed: Bed, chance: random.Random) -> Trouble:
    if bed.pooler is None:
        reason = no_pooler() or "every second installation has one"
        return Trouble(f"nothing: no PgBouncer is here ({reason})", nullcontext(), 0)
    process = bed.pooler.process

    @asynccontextmanager
    async def happening() -> AsyncIterator[None]:
        await asyncio.to_thread(process.kill)
        yield
        await asyncio.to_thread(process.start)

    return Trouble("the pooler is killed", happening(), _pause(chance))


def _two_at_once(bed: Bed, chance: random.Random) -> Trouble:
    names = chance.sample(sorted(set(_SINGLE) - {"mixed-releases"}), 2)
    if any(server.issuperset(names) for server in _OF_SERVERS):
        names.pop()
    names.sort(key=frozenset().union(*_OF_SERVERS).__contains__)
    troubles = [_SINGLE[name](bed, chance) for name in names]

    @asynccontextmanager
    async def happening() -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            for trouble in troubles:
                await stack.enter_async_context(trouble.happening)
            yield

    words = ", and ".join(trouble.words for trouble in troubles)
    return Trouble(words, happening(), max(trouble.lasts for trouble in troubles))


_OF_SERVERS: Final = (
    frozenset({"silence", "killed-postgres", "stopped-postgres", "standby"}),
    frozenset({"silent-temporal", "killed-temporal", "stopped-temporal"}),
)
"""What ends or suspends PostgreSQL, and Temporal: one of each at a time.

It begins after what else needs a server that answers to begin, and ends before it: a process that is
replaced waits for both.
"""
_SINGLE: Final[Mapping[str, Chooser]] = {
    **{name: partial(_of_postgres, name) for name in FAULTS},
    "silent-process": _silent_process,
    "silent-temporal": _silent_temporal,
    "killed-process": _killed_process,
    "killed-context": _killed_context,
    "stopped-process": _restarted_process,
    "killed-postgres": partial(_server, "PostgreSQL", "killed"),
    "stopped-postgres": partial(_server, "PostgreSQL", "stopped"),
    "killed-temporal": partial(_server, "Temporal", "killed"),
    "stopped-temporal": partial(_server, "Temporal", "stopped"),
    "killed-pooler": _killed_pooler,
    "standby": _standby,
    "mixed-releases": _mixed_releases,
}
MENU: Final[Mapping[str, Chooser]] = {**_SINGLE, "two-at-once": _two_at_once}
"""Each kind of trouble, by name."""
