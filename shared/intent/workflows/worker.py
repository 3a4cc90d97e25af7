"""The Temporal worker of a context."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from intent.workflows.names import command_queue
from intent.workflows.process_commands import ProcessCommands
from intent.workflows.versioning import UNVERSIONED, Versioning

__all__ = ["WorkerSettings", "command_worker"]


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """Sizes of a worker, and the version it is.

    Attributes:
        workflow_tasks: Workflow tasks handled at once.
        activities: Activities, local and other, handled at once.
        saga_commands: Commands and calls of sagas under way at once. A task of a saga's workflow
            holds its slot while its commands are under way, so as many are handled at once.
        cached_workflows: Workflows kept in memory between their tasks.
        drain: Seconds that work in flight may take at shutdown.
        versioning: The version of the code that the worker runs.
    """

    workflow_tasks: int = 50
    activities: int = 100
    saga_commands: int = 1000
    cached_workflows: int = 500
    drain: float = 20.0
    versioning: Versioning = UNVERSIONED


def command_worker(
    client: Client,
    context: str,
    activities: Sequence[Callable[..., Any]],
    settings: WorkerSettings | None = None,
) -> Worker:
    """Returns the worker of a context's command queue, not yet running.

    `ProcessCommands` is the platform's own code and proven deterministic by replay tests, so it
    runs without the sandbox, which would cost about as much as the rest of a small batch.
    """
    sizes = settings or WorkerSettings()
    return Worker(
        client,
        task_queue=command_queue(context),
        workflows=[ProcessCommands],
        activities=activities,
        workflow_runner=UnsandboxedWorkflowRunner(),
        max_concurrent_workflow_tasks=sizes.workflow_tasks,
        max_concurrent_local_activities=sizes.activities,
        max_concurrent_activities=sizes.activities,
        max_cached_workflows=sizes.cached_workflows,
        sticky_queue_schedule_to_start_timeout=timedelta(seconds=3),
        graceful_shutdown_timeout=timedelta(seconds=sizes.drain),
        deployment_config=sizes.versioning.config,
    )
