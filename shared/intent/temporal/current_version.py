"""Whether new workflows start on the version that this process is."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client
from temporalio.service import RPCError

__all__ = ["CurrentVersion"]

_log = logging.getLogger(__name__)

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
    """

    def __init__(
        self, client: Client, queue: str, deployment: str, build: str, *, every: float = _EVERY
    ) -> None:
        self._client = client
        self._queue = queue
        self._deployment = deployment
        self._build = build
        self._every = every
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
        task = asyncio.create_task(self._run(), name="current version")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])

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
            except RPCError as error:
                self._is_current = False
                _log.debug("Temporal does not say which version is current: %s", error.message)
            await asyncio.sleep(self._every)
