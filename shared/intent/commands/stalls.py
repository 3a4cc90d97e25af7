"""Batches that make no progress, for health and metrics."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass

from intent.errors import CommandError
from intent.waiting import now

__all__ = ["BatchUnderWay", "Stalls"]


@dataclass(frozen=True, slots=True)
class BatchUnderWay:
    """A batch whose outcomes are awaited.

    Attributes:
        context: The context that handles it.
        workflow: The id of its workflow.
        commands: The number of its commands.
        started: When it was sent, on the event loop's clock.
    """

    context: str
    workflow: str
    commands: int
    started: float

    @property
    def seconds(self) -> float:
        """How long it has been awaited."""
        return now() - self.started

    @property
    def since(self) -> float:
        """When it was sent, in seconds since 1970."""
        return time.time() - self.seconds


class Stalls:
    """The batches of one carrier that are awaited, and one of those that were not awaited to their end.

    A batch whose callers have all been refused is not carried any longer, and yet it makes no progress.
    The first one of them is followed until its workflow ends; the others are behind it.
    """

    def __init__(self) -> None:
        self._awaited: dict[str, BatchUnderWay] = {}
        self._followed: BatchUnderWay | None = None
        self._following: asyncio.Task[None] | None = None

    @property
    def batches(self) -> Sequence[BatchUnderWay]:
        """The batches, the oldest first."""
        followed = [self._followed] if self._followed is not None else []
        return [*followed, *self._awaited.values()]

    def begin(self, batch: BatchUnderWay) -> None:
        """Note that a batch is awaited."""
        self._awaited[batch.workflow] = batch

    def end(self, workflow: str) -> None:
        """Note that a batch is not awaited any longer."""
        self._awaited.pop(workflow, None)

    def follow(self, workflow: str, result: Awaitable[object]) -> None:
        """Note that nobody awaits a batch any longer, though it has not ended.

        Args:
            workflow: The id of its workflow.
            result: Done when the workflow has ended.
        """
        if self._following is None:
            self._followed = self._awaited.get(workflow)
            self._following = asyncio.create_task(self._follow(result), name="stalled batch")
        elif asyncio.iscoroutine(result):
            result.close()

    def close(self) -> None:
        """Follow nothing any longer."""
        if self._following is not None:
            self._following.cancel()

    async def _follow(self, result: Awaitable[object]) -> None:
        try:
            await result
        except CommandError:
            pass  # It was ended from outside.
        finally:
            self._followed = self._following = None
