"""Takes steps side by side, each branch in a scope of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from typing import Any

from intent.errors import Interrupted, NeighbourFailed, SagaCancelled, SagaFailure
from intent.sagas.scope import Scope, entered, scope

__all__ = ["side_by_side"]


async def side_by_side(steps: Sequence[Awaitable[Any]]) -> tuple[Any, ...]:
    """Take steps side by side; see `Saga.parallel`."""
    outer = scope()
    group = Scope(outer.next_path(), outer, seen=outer.seen, stopped=outer.stopped)
    branches = (_branch(group, number, step) for number, step in enumerate(steps, 1))
    results = await asyncio.gather(*branches, return_exceptions=True)
    outer.learn(group.seen, group.stopped)
    raised = [result for result in results if isinstance(result, BaseException)]
    if raised:
        raise min(raised, key=_weight)
    return tuple(results)


async def _branch(group: Scope, number: int, step: Awaitable[Any]) -> Any:
    branch = group.branch(number)
    with entered(branch):
        try:
            return await step
        except SagaFailure:
            group.failed = True
            raise
        finally:
            group.learn(branch.seen, branch.stopped)


def _weight(error: BaseException) -> int:
    """Return the rank of what a branch raised: defects first, then failures, outside causes, echoes.

    Outside causes rank later: code that runs again may meet more of them than the first time.
    """
    if not isinstance(error, SagaFailure):
        return 0
    if isinstance(error, NeighbourFailed):
        return 3
    return 2 if isinstance(error, Interrupted | SagaCancelled) else 1
