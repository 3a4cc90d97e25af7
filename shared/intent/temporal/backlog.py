"""What waits in Temporal for a context: tasks that no worker has taken yet, and sagas by their status.

A process knows its own work only. Whether some of the context's work is taken by no worker, or a saga
is stuck and waits for an operator, only Temporal knows; so every process asks at intervals, for its
metrics.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from intent.background import Background, BackgroundTask
from intent.temporal.attributes import CONTEXT, REPORTED_PROBLEMS, SAGA_STATUS

__all__ = ["Backlog", "BacklogWatch", "QueueBacklog"]

_EVERY = 15.0
_TIMEOUT = timedelta(seconds=5)
_KINDS = (TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW, TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY)
_STATUSES = ("running", "waiting", "delayed", "compensating", "stuck")


@dataclass(frozen=True, slots=True)
class QueueBacklog:
    """What waits in a task queue.

    Attributes:
        tasks: The approximate number of tasks.
        age: The approximate number of seconds that the oldest has waited.
    """

    tasks: int
    age: float


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits in Temporal for a context.

    Attributes:
        queues: What waits in each task queue, by its name.
        sagas: The number of running sagas by status; empty for a context without sagas.
    """

    queues: Mapping[str, QueueBacklog] = field(default_factory=dict)
    sagas: Mapping[str, int] = field(default_factory=dict)


class BacklogWatch:
    """A watch that asks Temporal at intervals what waits for a context.

    Args:
        client: The Temporal client.
        context: The context.
        queues: Its task queues.
        sagas: Whether it has sagas.
        every: Seconds between two questions.
        background: Asks in the background.

    Attributes:
        latest: The last answer; empty when Temporal did not answer.
    """

    def __init__(
        self,
        client: Client,
        context: str,
        queues: Sequence[str],
        *,
        sagas: bool,
        every: float = _EVERY,
        background: Background | None = None,
    ) -> None:
        self._client = client
        self._context = context
        self._queues = tuple(queues)
        self._sagas = sagas
        self._every = every
        self._background = background or Background()
        self._task: BackgroundTask | None = None
        self.latest = Backlog()

    async def start(self) -> None:
        """Start to ask, in the background."""
        self._task = self._background.start("backlog", self._run, outages=(RPCError,), longest=self._every)

    async def stop(self) -> None:
        """Stop asking."""
        if self._task is not None:
            await self._task.stop()

    async def ask(self) -> Backlog:
        """Ask once.

        Raises:
            RPCError: Temporal is unavailable, or refuses to answer.
        """
        queues = {name: await self._queue(name) for name in self._queues}
        return Backlog(queues, await self._count_sagas() if self._sagas else {})

    async def _run(self) -> None:
        while True:
            try:
                self.latest = await self.ask()
            except Exception:
                # The last answer would hide that nobody knows.
                self.latest = Backlog()
                raise
            await asyncio.sleep(self._every)

    async def _queue(self, name: str) -> QueueBacklog:
        tasks, age = 0, 0.0
        for kind in _KINDS:
            request = DescribeTaskQueueRequest(
                namespace=self._client.namespace,
                task_queue=TaskQueue(name=name),
                task_queue_type=kind,
                report_stats=True,
            )
            queue = await self._client.workflow_service.describe_task_queue(request, timeout=_TIMEOUT)
            tasks += queue.stats.approximate_backlog_count
            age = max(age, queue.stats.approximate_backlog_age.ToTimedelta().total_seconds())
        return QueueBacklog(tasks, age)

    async def _count_sagas(self) -> Mapping[str, int]:
        """Return the number of running sagas by status; a failing one has no other status."""
        failing, others = f"{REPORTED_PROBLEMS.name} IS NOT NULL", f"AND {REPORTED_PROBLEMS.name} IS NULL"
        try:
            counts = {"failing": await self._count(f"{SAGA_STATUS.name} IS NOT NULL AND {failing}")}
        except RPCError as error:
            if error.status != RPCStatusCode.INVALID_ARGUMENT:
                raise
            counts, others = {}, ""  # This version of Temporal does not say.
        for status in _STATUSES:
            counts[status] = await self._count(f"{SAGA_STATUS.name} = '{status}' {others}")
        return counts

    async def _count(self, condition: str) -> int:
        running = f"{CONTEXT.name} = '{self._context}' AND ExecutionStatus = 'Running'"
        query = f"{running} AND {condition}"
        return (await self._client.count_workflows(query, rpc_timeout=_TIMEOUT)).count
