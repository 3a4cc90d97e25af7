"""The Temporal worker of a context's sagas."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any, Final

from temporalio.client import Client
from temporalio.worker import Worker

from intent.guarding import Guard
from intent.model import BoundContext
from intent.saga_host.ends import EndActivity, NoEnds, SagaEnds
from intent.saga_host.ports import AdapterThreads, activity_of
from intent.saga_host.problems import OneLine
from intent.saga_host.sandbox import saga_runner
from intent.saga_host.types import register_sagas
from intent.saga_host.workflow import SagaWorkflow
from intent.sagas.host import NEVER
from intent.temporal import names
from intent.temporal.worker_settings import WorkerSettings

__all__ = ["saga_worker"]

_POLLS = 16
"""Polls for tasks at once, half of them for sagas that start; by default it would be one for these."""

_THREADS = 16
"""Threads for the code of sagas, which runs for moments and holds the interpreter's lock.

Code that never returns keeps one of them until the SDK interrupts it after two seconds, and again
whenever its task is retried; the other threads continue.
"""

_INSTANCES: Final = "temporalio.worker._workflow_instance"
"""The logger of the SDK for the workflows of a worker."""
_ONE_LINE: Final = OneLine()


def saga_worker(
    client: Client,
    context: BoundContext,
    route_command: Callable[..., Any],
    settings: WorkerSettings | None = None,
    ends: SagaEnds | None = None,
    guard: Guard | None = None,
) -> Worker:
    """Return the worker of a context's saga queue, not yet running.

    Args:
        client: The Temporal client.
        context: The context.
        route_command: The activity that sends commands to any context.
        settings: The worker's sizes, and the version of the code.
        ends: Where the ends of sagas are kept; None: nowhere, and a saga may begin anew once Temporal has
            forgotten it.
        guard: Notes which saga is under way; None: nobody does.
    """
    sizes = settings or WorkerSettings()
    park_after = timedelta(seconds=sizes.park_after) if sizes.park_after else NEVER
    register_sagas(context, sizes.versioning, park_after)
    logging.getLogger(_INSTANCES).addFilter(_ONE_LINE)
    threads = AdapterThreads()
    ports = [activity_of(context.name, one, threads.of(one)) for one in context.ports.values()]
    return Worker(
        client,
        task_queue=names.saga_queue(context.name),
        workflows=[SagaWorkflow],
        activities=[route_command, EndActivity(ends or NoEnds()).end, *ports],
        workflow_runner=saga_runner(guard),
        max_concurrent_workflow_tasks=sizes.saga_commands,
        workflow_task_executor=ThreadPoolExecutor(_THREADS, "saga-task"),
        max_concurrent_local_activities=sizes.saga_commands,
        max_concurrent_activities=sizes.saga_commands,
        max_concurrent_workflow_task_polls=_POLLS,
        nonsticky_to_sticky_poll_ratio=0.5,
        max_cached_workflows=sizes.cached_workflows,
        sticky_queue_schedule_to_start_timeout=timedelta(seconds=3),
        graceful_shutdown_timeout=timedelta(seconds=sizes.drain),
        deployment_config=sizes.versioning.config,
    )
