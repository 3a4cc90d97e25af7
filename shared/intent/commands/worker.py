"""The Temporal worker of a context."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from intent.commands.process_commands import ProcessCommands
from intent.temporal.names import command_queue
from intent.temporal.signing import ClockedRunner
from intent.temporal.worker_settings import WorkerSettings

__all__ = ["command_worker"]


def command_worker(
    client: Client,
    context: str,
    activities: Sequence[Callable[..., Any]],
    settings: WorkerSettings | None = None,
) -> Worker:
    """Return the worker of a context's command queue, not yet running.

    `ProcessCommands` is the platform's own code, and replay tests prove it deterministic. So it runs
    without the sandbox, which would cost about as much as the rest of a small batch.
    """
    sizes = settings or WorkerSettings()
    return Worker(
        client,
        task_queue=command_queue(context),
        workflows=[ProcessCommands],
        activities=activities,
        workflow_runner=ClockedRunner(UnsandboxedWorkflowRunner()),
        max_concurrent_workflow_tasks=sizes.workflow_tasks,
        max_concurrent_local_activities=sizes.activities,
        max_concurrent_activities=sizes.activities,
        max_cached_workflows=sizes.cached_workflows,
        sticky_queue_schedule_to_start_timeout=timedelta(seconds=3),
        graceful_shutdown_timeout=timedelta(seconds=sizes.drain),
        deployment_config=sizes.versioning.config,
    )
