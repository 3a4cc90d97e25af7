"""Whether new workflows start on the version that this process is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client
from temporalio.service import RPCError

from intent.background import Background

__all__ = ["CurrentVersion"]

_EVERY = 5.0
_TIMEOUT = timedelta(seconds=5)


class CurrentVersion:
    """A watch that asks Temporal at intervals which version gets the new workflows of a task queue.

    Args:
        client: The Temporal client.
        queue: The task queue.
        deployment: The worker deployment of which this process is a version.
        build: Its version; empty: the process is unversioned, and Temporal is not asked.
        every: Seconds between two questions.
        background: Asks in the background.
    """

    def __init__(
        self,
        client: Client,
        queue: str,
        deployment: str,
        build: str,
        *,
        every: float = _EVERY,
        background: Background | None = None,
    ) -> None:
        self._client = client
        self._queue = queue
        self._deployment = deployment
        self._build = build
        self._every = every
        self._background = background or Background()
        self._is_current = not build

    def is_current(self) -> bool:
        """Return whether all new workflows start on this version, as far as is known; a ramp splits them."""
        return self._is_current

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """Ask in the background while the context manager is entered."""
        if not self._build:
            yield
            return
        task = self._background.start("current version", self._run, outages=(RPCError,), longest=self._every)
        try:
            yield
        finally:
            await task.stop()

    async def ask(self) -> bool:
        """Ask once.

        Raises:
            RPCError: Temporal is unavailable, or refuses to answer.
        """
        request = DescribeTaskQueueRequest(
            namespace=self._client.namespace,
            task_queue=TaskQueue(name=self._queue),
            task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
        )
        queue = await self._client.workflow_service.describe_task_queue(request, timeout=_TIMEOUT)
        routing = queue.versioning_info
        current = routing.current_deployment_version
        ramping = routing.ramping_version_percentage > 0
        return not ramping and (current.deployment_name, current.build_id) == (
            self._deployment,
            self._build,
        )

    async def _run(self) -> None:
        while True:
            try:
                self._is_current = await self.ask()
            except Exception:
                self._is_current = False
                raise
            await asyncio.sleep(self._every)
