"""The sizes of a Temporal worker, and its version."""

from __future__ import annotations

from dataclasses import dataclass

from intent.temporal.versioning import UNVERSIONED, Versioning

__all__ = ["WorkerSettings"]


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """The sizes of a worker, and its version.

    Attributes:
        workflow_tasks: Workflow tasks handled at once.
        activities: Activities, local and other, handled at once.
        saga_commands: Commands and calls of sagas under way at once. A task of a saga's workflow
            holds its slot while its commands are under way, so as many tasks are handled at once.
        cached_workflows: Workflows kept in memory between their tasks.
        drain: Seconds that work in flight may take to finish at shutdown.
        park_after: Seconds for which a step of a saga is held up before it is parked; 0: without end.
        versioning: The version of the code that the worker runs.
    """

    workflow_tasks: int = 50
    activities: int = 100
    saga_commands: int = 1000
    cached_workflows: int = 500
    drain: float = 20.0
    park_after: float = 86_400.0
    versioning: Versioning = UNVERSIONED
