"""One call of a consumer's runner, and the handlers that work on what it delivers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import grpc
from intent_contracts.intent.v1 import Acknowledge, ConsumeRequest, ConsumeResponse, Delivery, Fail, Join

from intent.client.reacting import Reacting
from intent.client.repeats import RepeatedWarnings
from intent.errors import (
    CommandError,
    CommandIdReused,
    DeadlineExceeded,
    InvalidCommand,
    NewerReleaseNeeded,
    Overloaded,
    Rejected,
    StoreUnavailable,
    Unavailable,
)
from intent.escaping import escaped
from intent.waiting import set_within

if TYPE_CHECKING:
    from intent.model import Consumer, IntendedCommand

__all__ = ["CALL_OVER", "TRANSIENT", "ConsumingFigures", "Participation", "SendCommand"]

_log: Final = logging.getLogger("intent.client")
TRANSIENT: Final = (Unavailable, Overloaded, DeadlineExceeded, StoreUnavailable)
"""Errors to wait out: something is unavailable, and the event is not the cause."""
_FINAL: Final = (Rejected, InvalidCommand)
"""Answers to a command that stay the same until somebody fixes the cause."""
CALL_OVER: Final = (asyncio.InvalidStateError, grpc.aio.BaseError)
"""What gRPC raises when something is written to a call that has ended, or has not begun yet."""
_LONGEST_ERROR: Final = 2000
_FIRST_PAUSE: Final = 0.1

SendCommand: TypeAlias = "Callable[[IntendedCommand], Awaitable[object]]"
"""Sends a command; raises a `CommandError` when the command has no effect."""


@dataclass(slots=True)
class ConsumingFigures:
    """The metrics of a consumer that runs in this process; the counts only grow.

    Attributes:
        name: The consumer's name.
        connected: Whether it is connected now.
        partitions: How many partitions it owns now.
        handled: How many events were handled.
        failures: How often handling an event failed.
        trouble: Why it is not connected; empty when it is.
    """

    name: str
    connected: bool = False
    partitions: int = 0
    handled: int = 0
    failures: int = 0
    trouble: str = ""


class Participation:
    """One call of `Consume`, and the handlers that work on what it delivers."""

    def __init__(
        self,
        consumer: Consumer,
        reacting: Reacting,
        send: SendCommand,
        figures: ConsumingFigures,
        failures: RepeatedWarnings,
    ) -> None:
        self.joined = False
        self._consumer = consumer
        self._reacting = reacting
        self._send = send
        self._figures = figures
        self._failures = failures
        self._call: Any = None
        self._slots = asyncio.Semaphore(consumer.concurrency)
        self._writing = asyncio.Lock()
        self._handling: set[asyncio.Task[None]] = set()
        self._over = asyncio.Event()
        """Set when the call is over: what is not done by then is delivered again."""

    async def run(self, call: Any, join: Join) -> None:
        """Join and handle deliveries until the call ends."""
        self._call = call
        try:
            await self._write(ConsumeRequest(join=join))
            async for response in _responses(call):
                if response.HasField("assignment"):
                    self._assigned(len(response.assignment.partitions))
                elif not self._over.is_set():
                    self._begin(response.delivery)
        except asyncio.CancelledError:
            self._cancel_handlers()
            raise
        finally:
            # The events are delivered again, perhaps here: their handlers must have ended before.
            self._over.set()
            await self._finish()

    async def finish(self) -> None:
        """Start nothing more, and wait until the handlers that run have answered."""
        self._over.set()
        await self._finish()

    async def leave(self, grace: float) -> None:
        """Start nothing more, answer what is done within `grace` seconds, and end the call."""
        self._over.set()
        if self._handling:
            await asyncio.wait(self._handling, timeout=grace)
            self._cancel_handlers()
            await self._finish()
        await self._call.done_writing()

    def _assigned(self, partitions: int) -> None:
        if not self.joined:
            _log.info("consumer %s is connected", self._consumer.name)
        self.joined = self._figures.connected = True
        self._figures.partitions, self._figures.trouble = partitions, ""

    def _begin(self, delivery: Delivery) -> None:
        task = asyncio.create_task(self._handle(delivery))
        self._handling.add(task)
        task.add_done_callback(self._handling.discard)

    def _cancel_handlers(self) -> None:
        for task in self._handling:
            task.cancel()

    async def _finish(self) -> None:
        if self._handling:
            await asyncio.wait(self._handling)

    async def _handle(self, delivery: Delivery) -> None:
        position = delivery.event.position
        async with self._slots:
            if self._over.is_set():
                return
            try:
                await self._process(delivery)
            except _CallOverError:
                return
            except Exception as error:
                answer = ConsumeRequest(fail=self._failed(delivery, error))
            else:
                self._figures.handled += 1
                answer = ConsumeRequest(acknowledge=Acknowledge(position=position))
            await self._answer(answer)

    async def _process(self, delivery: Delivery) -> None:
        for intended in await self._until_available(lambda: self._reacting.react(delivery.event)):
            await self._send_once(intended, delivery.replays)

    async def _send_once(self, intended: IntendedCommand, replays: int) -> None:
        """Send a command so that it has one effect, however often its event is delivered or replayed.

        A rejection is recorded under the id. Each replay has an id of its own, which is used only
        after the ids before it have been rejected: an effect under one of those is found again.
        """
        ids = [intended, *(intended.replayed(replay) for replay in range(1, replays + 1))]
        for each in ids:
            try:
                await self._until_available(lambda each=each: self._send(each))  # type: ignore[misc]
                return
            except (Rejected, CommandIdReused) as error:
                if each is ids[-1] or not _was_rejected(error):
                    raise _RefusedError(error) from error
            except _FINAL as error:
                raise _RefusedError(error) from error

    async def _until_available(self, work: Callable[[], Awaitable[Any]]) -> Any:
        """Call `work`, again while something that it needs is unavailable."""
        pause = _FIRST_PAUSE
        while True:
            try:
                return await work()
            except TRANSIENT as error:
                # An operator must know of this one: it lasts until another release runs.
                first_of_release = isinstance(error, NewerReleaseNeeded) and pause == _FIRST_PAUSE
                level = logging.WARNING if first_of_release else logging.DEBUG
                _log.log(level, "consumer %s waits: %s", self._consumer.name, error)
            if await set_within(self._over, pause):
                raise _CallOverError
            pause = min(5.0, 2 * pause)

    async def _answer(self, answer: ConsumeRequest) -> None:
        try:
            await self._write(answer)
        except (grpc.aio.AioRpcError, *CALL_OVER):
            # The call has ended; the event is delivered again.
            return

    async def _write(self, request: ConsumeRequest) -> None:
        async with self._writing:
            await self._call.write(request)

    def _failed(self, delivery: Delivery, error: Exception) -> Fail:
        self._figures.failures += 1
        event, final = delivery.event, isinstance(error, _RefusedError)
        if isinstance(error, _RefusedError):
            error = error.answer
        kind = error.reason if isinstance(error, CommandError) else type(error).__name__
        self._failures.warn(
            f"consumer {self._consumer.name} failed to handle {event.type} with {kind}",
            "consumer %s failed to handle %s of %s/%s (position %d, attempt %d): %s",
            self._consumer.name,
            event.type,
            event.aggregate_type,
            event.aggregate_id,
            event.position,
            delivery.attempt,
            error,
            exc_info=None if isinstance(error, CommandError) else error,
        )
        return Fail(position=event.position, error=_error_text(error), final=final)


class _RefusedError(Exception):
    """A command was refused, and would be again.

    Attributes:
        answer: The answer to it.
    """

    def __init__(self, answer: CommandError) -> None:
        super().__init__(str(answer))
        self.answer = answer


class _CallOverError(Exception):
    """The call is over; what waits is given up and delivered again."""


async def _responses(call: Any) -> AsyncIterator[ConsumeResponse]:
    while (response := await call.read()) is not grpc.aio.EOF:
        yield response


def _was_rejected(error: CommandError) -> bool:
    """Return whether an earlier command with the id was rejected, so that nothing has come of it."""
    return error.duplicate or error.metadata.get("recorded") == "rejection"


def _error_text(error: Exception) -> str:
    text = str(error) if isinstance(error, CommandError) else f"{type(error).__name__}: {error}"
    # A handler may raise any text; a message holds only valid UTF-8 without NUL.
    return escaped(text, lines=True)[:_LONGEST_ERROR]
