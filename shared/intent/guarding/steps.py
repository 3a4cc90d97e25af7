"""Guards coroutines of authors: each step that they take on the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Generator
from typing import Any, Generic, TypeVar

from intent.guarding.alarm import LoopHeld
from intent.guarding.guard import Guard
from intent.guarding.poison import Poison, crashed

__all__ = ["guarded_steps"]

T = TypeVar("T")


async def guarded_steps(guard: Guard, note: bytes, coroutine: Coroutine[Any, Any, T]) -> T:
    """Await a coroutine; whatever it does between two waits costs only itself.

    Args:
        guard: The guard.
        note: What is under way while it runs; it is not while it waits.
        coroutine: The coroutine.

    Raises:
        Poison: It raised what is no `Exception`, or held the event loop for too long.
        Exception: Whatever else it raises.
    """
    return await _Steps(guard, note, coroutine)


class _Steps(Generic[T]):
    """An awaitable that runs each step of a coroutine under a guard."""

    def __init__(self, guard: Guard, note: bytes, coroutine: Coroutine[Any, Any, T]) -> None:
        self._guard = guard
        self._note = note
        self._coroutine = coroutine
        self._cancelled = False

    def __await__(self) -> Generator[Any, Any, T]:
        """Yield what the coroutine waits for."""
        thrown: BaseException | None = None
        value: Any = None
        try:
            while True:
                done, waits_for = self._step(value, thrown)
                if done:
                    result: T = waits_for
                    return result
                thrown = value = None
                try:
                    value = yield waits_for
                except GeneratorExit:
                    raise
                except BaseException as error:
                    thrown = error
                    self._cancelled |= isinstance(error, asyncio.CancelledError)
        finally:
            self._coroutine.close()

    def _step(self, value: Any, thrown: BaseException | None) -> tuple[bool, Any]:
        """Take one step; return whether the coroutine is done, and its result or what it waits for."""
        guard = self._guard
        try:
            try:
                guard.begin()
                guard.loop_watch.enter(self._note)
                if thrown is not None:
                    return False, self._coroutine.throw(thrown)
                return False, self._coroutine.send(value)
            except StopIteration as stop:
                return True, stop.value
            except (Exception, LoopHeld):
                raise
            except BaseException as error:
                if self._cancelled and isinstance(error, asyncio.CancelledError):
                    raise
                raise crashed(error) from error
            finally:
                guard.end()
        except LoopHeld:
            raise Poison("it held the event loop for too long; let it await what it waits for") from None
