"""Calls the adapters of ports as activities, each apart from the event loop of the process.

An adapter is an author's code, and may block, or swallow its cancellation. Neither must hold up the
commands, the health or the end of the process, so adapters run in threads of their own, and nothing waits
for one longer than its port allows.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import sysconfig
import threading
import traceback
from collections.abc import Callable
from concurrent.futures import Future
from types import FrameType
from typing import Any, Final

from google.protobuf.message import Message
from temporalio import activity
from temporalio.exceptions import ApplicationError

from intent.sagas import Adapter, Port
from intent.temporal import names, policies
from intent.waiting import now

__all__ = ["AdapterThread", "AdapterThreads", "activity_of"]

_log = logging.getLogger(__name__)

_CANCEL_GRACE: Final = 10.0
"""Seconds that an attempt may take to its end when its saga is cancelled."""
_STDLIB: Final = sysconfig.get_path("stdlib")
_PING: Final = 1.0
"""Seconds within which an event loop that is not blocked takes a turn."""


class AdapterThread:
    """A thread with an event loop of its own; it begins with the first call and ends with the process.

    Args:
        name: Its name.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def start(self, adapter: Adapter, request: Message) -> Future[Message]:
        """Start a call; the result is that of the adapter."""
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            # A daemon: the process must not wait for an adapter that never returns.
            self._thread = threading.Thread(target=self._loop.run_forever, name=self._name, daemon=True)
            self._thread.start()

        async def answer() -> Message:
            return await adapter.function(request)

        return asyncio.run_coroutine_threadsafe(answer(), self._loop)

    async def blocked_at(self) -> str:
        """Return the line at which an adapter blocks the event loop; empty when none does."""
        loop, thread = self._loop, self._thread
        if loop is None or thread is None:
            return ""
        ping = asyncio.run_coroutine_threadsafe(asyncio.sleep(0), loop)
        if (await asyncio.wait([asyncio.wrap_future(ping)], timeout=_PING))[0]:
            return ""
        return _line(sys._current_frames().get(thread.ident or 0))


class AdapterThreads:
    """The threads of a worker's adapters.

    Adapters that are methods of one object, or functions of one module, share a thread and its event
    loop, so that they may share a client that is bound to a loop. All others are apart.
    """

    def __init__(self) -> None:
        self._threads: dict[object, AdapterThread] = {}

    def of(self, adapter: Adapter) -> AdapterThread:
        """Return the thread of an adapter."""
        owner = getattr(adapter.function, "__self__", None)
        key = adapter.function.__module__ if owner is None else id(owner)
        if key not in self._threads:
            self._threads[key] = AdapterThread(f"port {adapter.port.name}")
        return self._threads[key]


def activity_of(context: str, adapter: Adapter, thread: AdapterThread) -> Callable[..., Any]:
    """Return an adapter as an activity under the name of its port.

    Args:
        context: The context.
        adapter: The adapter.
        thread: Where it runs.
    """

    async def call(request: Any) -> Any:
        heartbeats = asyncio.create_task(_send_heartbeats())
        try:
            answering = asyncio.wrap_future(thread.start(adapter, request))
            return await _answer(adapter.port, answering, thread)
        finally:
            heartbeats.cancel()

    call.__annotations__ = {"request": adapter.port.request, "return": adapter.port.answer}
    return activity.defn(name=names.port_activity(context, adapter.port.name))(call)


async def _answer(port: Port[Any, Any], answering: asyncio.Future[Message], thread: AdapterThread) -> Message:
    """Return the answer, or raise what the adapter raised; wait no longer than the port allows.

    A saga that is cancelled lets the attempt under way come to its end: an answer that there is counts.

    Raises:
        ApplicationError: There is no answer in time, or this process ends.
        CancelledError: The call is cancelled.
    """
    until, cancelled = now() + port.timeout.total_seconds(), False
    try:
        while not answering.done():
            try:
                await asyncio.wait([answering], timeout=until - now())
            except asyncio.CancelledError as error:
                details = activity.cancellation_details()
                if details is not None and details.worker_shutdown:
                    # As a cancellation it would only be repeated when its heartbeats are missed.
                    raise ApplicationError("its process ended", type="PROCESS_ENDED") from error
                if cancelled or details is None or not details.cancel_requested:
                    raise
                until, cancelled = min(until, now() + _CANCEL_GRACE), True
            if not answering.done() and now() >= until:
                break
    finally:
        # One that goes on all the same is left alone: its thread waits for nobody.
        answering.cancel()
    if cancelled and (answering.cancelled() or answering.exception() is not None):
        raise asyncio.CancelledError
    if answering.cancelled():
        raise await _no_answer(port, thread)
    return answering.result()


async def _no_answer(port: Port[Any, Any], thread: AdapterThread) -> ApplicationError:
    seconds = port.timeout.total_seconds()
    line = await thread.blocked_at()
    if not line:
        return ApplicationError(f"the port {port.name} gave no answer within {seconds:g} s", type="NO_ANSWER")
    _log.error("the adapter of the port %s blocks its thread at %s; let it await instead", port.name, line)
    words = f"the port {port.name} gave no answer within {seconds:g} s: its thread is blocked at {line}"
    return ApplicationError(words, type="ADAPTER_BLOCKS")


def _line(frame: FrameType | None) -> str:
    """Return the innermost line of a stack that is not Python's own, such as one that waits for a lock."""
    for line in reversed(traceback.extract_stack(frame) if frame is not None else []):
        if not line.filename.startswith(_STDLIB) or "site-packages" in line.filename:
            return f"{line.filename}:{line.lineno}, in {line.name}"
    return "an unknown line"


async def _send_heartbeats() -> None:
    """Send heartbeats during a call, so that the server notices soon when this process dies."""
    while True:
        await asyncio.sleep(policies.PORT_HEARTBEAT.total_seconds() / 3)
        activity.heartbeat()
