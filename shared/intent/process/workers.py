"""The Temporal workers of a context process: one for its commands, one for its sagas."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial

from temporalio.client import Client
from temporalio.worker import Worker

from intent.background import Background, stop_all
from intent.commands import ContextActivities, command_worker
from intent.guarding import Guard
from intent.model import BoundContext
from intent.saga_host import SagaEnds, saga_worker
from intent.settings.config import Settings
from intent.temporal import Versioning, WorkerSettings
from intent.temporal.names import command_queue, saga_queue

__all__ = ["Workers", "running_workers"]

_FAILING = 10.0
"""Seconds for which a worker may fail before it counts as one that does not run."""


class Workers:
    """The workers of a process; one that ends by itself is replaced.

    Args:
        makers: Functions that return a new worker, by the task queue.
        background: Runs the workers.
    """

    def __init__(self, makers: Mapping[str, Callable[[], Worker]], background: Background) -> None:
        self._makers = makers
        self._workers: dict[str, Worker] = {}
        self._stopping = False
        self._tasks = {
            queue: background.start(f"worker {queue}", partial(self._work, queue)) for queue in makers
        }

    def problem(self) -> str:
        """Return which workers do not run, and why; empty when all do."""
        return "; ".join(
            f"the worker of {queue} does not run: {task.ended or task.trouble}"
            for queue, task in self._tasks.items()
            if task.ended or task.failing > _FAILING
        )

    async def stop(self) -> None:
        """Finish the work in flight."""
        self._stopping = True
        running = [worker for worker in self._workers.values() if worker.is_running]
        await asyncio.gather(*(worker.shutdown() for worker in running))
        await stop_all(self._tasks.values())

    async def _work(self, queue: str) -> None:
        """Run the worker of a queue until `stop`.

        Raises:
            RuntimeError: It ended by itself.
        """
        await self._worker(queue).run()
        if not self._stopping:
            raise RuntimeError(f"the worker of {queue} ended by itself")

    def _worker(self, queue: str) -> Worker:
        try:
            self._workers[queue] = self._makers[queue]()
        except RuntimeError:
            # One that never came to poll keeps its place at the client, and may be run again.
            if queue not in self._workers:
                raise
        return self._workers[queue]


@asynccontextmanager
async def running_workers(
    client: Client,
    context: BoundContext,
    activities: ContextActivities,
    settings: Settings,
    ends: SagaEnds,
    background: Background,
    guard: Guard,
) -> AsyncIterator[Workers]:
    """Run the workers for the duration of the context manager; `guard` notes the sagas under way.

    Raises:
        ConfigurationError: A setting names a saga that the context does not have.
    """
    sizes = _sizes(settings, context)
    makers = {
        command_queue(context.name): partial(command_worker, client, context.name, activities.all, sizes)
    }
    if context.sagas:
        makers[saga_queue(context.name)] = partial(
            saga_worker, client, context, activities.route_command, sizes, ends, guard
        )
    workers = Workers(makers, background)
    try:
        yield workers
    finally:
        await workers.stop()


def _sizes(settings: Settings, context: BoundContext) -> WorkerSettings:
    versioning = Versioning(settings.deployment, settings.build_id, frozenset(settings.pinned_sagas))
    versioning.require_known({saga.name for saga in context.sagas.values()})
    return WorkerSettings(
        drain=settings.drain_timeout, park_after=settings.saga_park_after, versioning=versioning
    )
