"""The guard of a context process, with what earlier processes have died of."""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import logging
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from hashlib import blake2b
from itertools import chain
from pathlib import Path
from typing import Final

from intent.background import Background
from intent.commands import CommandRequest
from intent.errors import ConfigurationError, StoreUnavailable
from intent.guarding import Doubts, Guard, Journal, command_piece, once_each, read_leftovers
from intent.model import BoundContext
from intent.settings.config import Settings
from intent.settings.database_urls import database_url
from intent.store.postgres import PostgresDoubts, PostgresEventStore

__all__ = ["ended_when_stuck", "guarding", "suspicion"]

_log: Final = logging.getLogger(__name__)

_DOUBTS_CHANGED: Final = "doubts"
"""The wake-up that processes send each other when there is news of what processes died of."""
_LOOP_STUCK: Final = 10.0
"""After so many seconds in which the event loop did not run at all, the process ends."""
_TICK: Final = 1.0
_PAUSE: Final = 0.1


@asynccontextmanager
async def guarding(
    settings: Settings,
    context: BoundContext,
    store: PostgresEventStore,
    background: Background,
    available: Callable[[Callable[[], Awaitable[None]]], Awaitable[None]],
) -> AsyncIterator[Guard]:
    """Guard the code of a context for the duration of the context manager.

    Args:
        settings: The settings of the process.
        context: The context.
        store: Its event store.
        background: Keeps what is known of lost processes up to date.
        available: Calls a function, again while the store is unavailable.
    """
    folder = Path(settings.crash_folder or _default_folder())
    name = f"{context.name}-{_digest(_database(settings.database_url))}"
    code = _digest(settings.build_id.encode() + _code(context))
    doubts = Doubts(
        PostgresDoubts(store.pool, context.name, code), lambda: store.wake_ups.tell(_DOUBTS_CHANGED)
    )
    with read_leftovers(folder, name) as killed:
        for note in chain.from_iterable(map(once_each, killed)):
            await available(partial(doubts.lost, [note]))
    await available(doubts.refresh)
    changed = asyncio.Event()
    store.wake_ups.on(_DOUBTS_CHANGED, changed.set)
    refreshing = background.start("doubts", partial(_refresh, doubts, changed), outages=(StoreUnavailable,))
    journal = _journal(folder, name)
    try:
        yield Guard(settings.handler_timeout, journal, doubts)
    finally:
        journal.close()
        await refreshing.stop()


@asynccontextmanager
async def ended_when_stuck(
    problem: Callable[[], str], stop: asyncio.Event, background: Background
) -> AsyncIterator[None]:
    """Let the process end when its event loop stands still, or when there is a problem that only that solves.

    Code that neither returns nor lets another thread run cannot be interrupted from within. After ten
    seconds of it the stacks of all threads are written to stderr and the process ends at once; the
    next one reads what was under way.

    Args:
        problem: Returns why the process should be replaced; empty when it should not.
        stop: Set to let the process end gracefully.
        background: Runs the watch.
    """
    ticking = background.start("watchdog", partial(_tick, problem, stop))
    try:
        yield
    finally:
        await ticking.stop()
        faulthandler.cancel_dump_traceback_later()


def suspicion(doubts: Doubts) -> Callable[[CommandRequest], bool]:
    """Return the function that tells whether a process may have died of a command."""

    def suspected(request: CommandRequest) -> bool:
        if not doubts:
            return False
        origin = request.origin
        return doubts.losses(command_piece(request.contract.type, origin.tenant, str(origin.command_id))) > 0

    return suspected


async def _tick(problem: Callable[[], str], stop: asyncio.Event) -> None:
    while True:
        with contextlib.suppress(ValueError, OSError):  # stderr may be closed
            faulthandler.dump_traceback_later(_LOOP_STUCK, exit=True, file=2)
        if (found := problem()) and not stop.is_set():
            _log.critical("the process ends, for another to take its place: %s", found)
            stop.set()
        await asyncio.sleep(_TICK)


async def _refresh(doubts: Doubts, changed: asyncio.Event) -> None:
    """Read again what all processes know whenever it has changed."""
    while True:
        await changed.wait()
        changed.clear()
        try:
            await doubts.refresh()
        except BaseException:
            changed.set()
            raise
        await asyncio.sleep(_PAUSE)


def _journal(folder: Path, name: str) -> Journal:
    try:
        return Journal.open(folder, name)
    except ConfigurationError as error:
        _log.warning("what a process dies of will be found out late: %s", error)
        return Journal.anonymous()


def _default_folder() -> Path:
    return Path(tempfile.gettempdir()) / f"intent-{os.getuid()}"


def _database(url: str) -> bytes:
    """Return what tells one database from another in its URL."""
    return database_url(url).place.encode()


def _code(context: BoundContext) -> bytes:
    """Return the source code of a context: another version may not die of the same."""
    declared = [*(kind.cls for kind in context.aggregates.values()), *context.consumers]
    declared += [type(projection) for projection in context.projections]
    packages = {cls.__module__.partition(".")[0] for cls in declared}
    files = {
        str(getattr(module, "__file__", None) or "")
        for name, module in list(sys.modules.items())
        if name.partition(".")[0] in packages
    }
    return b"".join(Path(file).read_bytes() for file in sorted(files) if file.endswith(".py"))


def _digest(content: bytes) -> str:
    return blake2b(content, digest_size=8).hexdigest()
