"""Runs the handlers of a consumer: whatever they do costs the stream of their event only."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Sequence
from typing import TYPE_CHECKING, Any

from intent_contracts.intent.v1 import RecordedEvent

from intent.guarding import Guard, UnderWay, Watch, guarded_steps

if TYPE_CHECKING:
    from intent.model import Consumer, IntendedCommand

__all__ = ["Reacting", "TooLongError"]


class TooLongError(Exception):
    """A handler took too long."""


class Reacting:
    """The handlers of one consumer.

    Args:
        consumer: The consumer.
        guard: What its code runs under.
    """

    def __init__(self, consumer: Consumer, guard: Guard) -> None:
        self._consumer = consumer
        self._guard = guard

    async def react(self, event: RecordedEvent) -> Sequence[IntendedCommand]:
        """Let the consumer handle an event, and return the commands that follow.

        Raises:
            TooLongError: The handler took longer than it may.
            Poison: It raised what is no `Exception`, held the event loop, or processes were lost by it.
            Exception: Whatever else it raises.
        """
        consumer, doubts = self._consumer, self._guard.doubts
        piece = UnderWay("consumer", consumer.name, event.tenant_id, str(event.position))
        if doubts:
            await doubts.admit(piece)
        try:
            async with asyncio.timeout(consumer.timeout):
                commands = await self._guarded(piece.note, event)
        except TimeoutError as error:
            raise TooLongError(f"it took longer than {consumer.timeout:g} s") from error
        if doubts:
            await doubts.survived([piece])
        return commands

    async def _guarded(self, note: bytes, event: RecordedEvent) -> Sequence[IntendedCommand]:
        # Most programs that import the client run no consumer, and need not load what declares one.
        from intent.model.reaction import intended, invoke

        consumer = self._consumer

        def call(watch: Watch) -> Any:
            watch.enter(note)
            return invoke(consumer, event)

        # It may take its whole time in a thread, where it is interrupted.
        returned = await self._guard.call(call, limit=consumer.timeout)
        if inspect.isawaitable(returned):
            returned = await guarded_steps(self._guard, note, _awaited(returned))
        return intended(consumer, event, returned)


async def _awaited(awaitable: Awaitable[object]) -> object:
    return await awaitable
