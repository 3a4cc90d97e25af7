"""The Temporal workers of a context process: one for its commands, one for its sagas."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from temporalio.client import Client
from temporalio.worker import Worker

from intent.commands import ContextActivities, command_worker
from intent.model import BoundContext
from intent.saga_host import saga_worker
from intent.settings.config import Settings
from intent.temporal import Versioning, WorkerSettings

__all__ = ["running_workers"]


@asynccontextmanager
async def running_workers(
    client: Client, context: BoundContext, activities: ContextActivities, settings: Settings
) -> AsyncIterator[Sequence[Worker]]:
    """Run the workers for the duration of the context; if one ends by itself, cancel the body.

    Raises:
        BaseExceptionGroup: A worker ended by itself.
        ConfigurationError: A setting names a saga that the context does not have.
    """
    sizes = _sizes(settings, context)
    workers = [command_worker(client, context.name, activities.all, sizes)]
    if context.sagas:
        workers.append(saga_worker(client, context, activities.route_command, sizes))
    async with asyncio.TaskGroup() as group:
        running = [group.create_task(worker.run(), name=f"worker {worker.task_queue}") for worker in workers]
        try:
            yield workers
        finally:
            await asyncio.gather(*(worker.shutdown() for worker in workers))
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.gather(*running)


def _sizes(settings: Settings, context: BoundContext) -> WorkerSettings:
    versioning = Versioning(settings.deployment, settings.build_id, frozenset(settings.pinned_sagas))
    versioning.require_known({saga.name for saga in context.sagas.values()})
    return WorkerSettings(
        drain=settings.drain_timeout, park_after=settings.saga_park_after, versioning=versioning
    )
