"""A worker deployment in Temporal: its versions, which one is current and which ones still have work."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.deployment.v1 import WorkerDeploymentInfo, WorkerDeploymentVersion
from temporalio.api.enums.v1 import TaskQueueType, WorkerDeploymentVersionStatus
from temporalio.api.taskqueue.v1 import PollerInfo, TaskQueue
from temporalio.api.workflowservice.v1 import (
    DeleteWorkerDeploymentVersionRequest,
    DescribeTaskQueueRequest,
    DescribeWorkerDeploymentRequest,
    DescribeWorkerDeploymentResponse,
    DescribeWorkerDeploymentVersionRequest,
    SetWorkerDeploymentCurrentVersionRequest,
    SetWorkerDeploymentRampingVersionRequest,
)
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from intent.errors import ConfigurationError
from intent.rollout.waiting import Report, patiently, until
from intent.temporal.registration import refusal

__all__ = ["Poller", "Version", "WorkerDeployment"]

T = TypeVar("T")

_RECENT = timedelta(seconds=90)
"""Time since a worker last polled for tasks; a running one polls at least once a minute."""
_START = "find out why the new processes do not start, or give them more time with --wait"
_RETIRE = (
    "remove versions on which nothing is left with `intent deploy retire`, or raise "
    "matching.maxVersionsInDeployment in Temporal"
)
_STATUS = "WORKER_DEPLOYMENT_VERSION_STATUS_"
_WORKFLOWS = TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW
_KINDS = {_WORKFLOWS: "workflows", TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY: "activities"}


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a worker deployment.

    Attributes:
        build: Its build id.
        status: ``inactive``, ``current``, ``ramping``, ``draining`` or ``drained``.
        percentage: The share of new workflows that a ramping version gets, 0 to 100.
        since: The time at which it got its status, by Temporal's clock.
    """

    build: str
    status: str
    percentage: float
    since: datetime

    @property
    def in_use(self) -> bool:
        """Whether workflows start on it, or some that are pinned to it still run."""
        return self.status in {"current", "ramping", "draining"}


@dataclass(frozen=True, slots=True)
class Poller:
    """A worker that polls for tasks.

    Attributes:
        queue: The task queue.
        identity: The worker's identity, by default its process id and host.
    """

    queue: str
    identity: str


class WorkerDeployment:
    """The worker deployment of a context.

    Args:
        client: A client of the context's namespace.
        name: The deployment's name.
        queues: The task queues that a version must serve.
        wait: Seconds that Temporal may be unavailable, that workers may take to start, and that others
            may keep changing the deployment.
        report: Gets sentences for the user.
    """

    def __init__(
        self, client: Client, name: str, queues: Collection[str], wait: float, report: Report
    ) -> None:
        self.name = name
        self._client = client
        self._service = client.workflow_service
        self._queues = tuple(queues)
        self._wait = wait
        self._report = report

    async def versions(self) -> Sequence[Version]:
        """Return the versions, newest first; none when Temporal does not know the deployment."""
        description = await self._patiently(self._describe)
        return () if description is None else _versions(description.worker_deployment_info)

    async def version(self, build: str) -> Version:
        """Return one version.

        Raises:
            ConfigurationError: Temporal does not know it.
        """
        versions = await self.versions()
        for version in versions:
            if version.build == build:
                return version
        known = ", ".join(version.build for version in versions) or "none"
        raise ConfigurationError(
            f"Temporal knows no version {build} of the worker deployment {self.name}; its versions: {known}"
        )

    async def pollers(self, build: str) -> Sequence[Poller]:
        """Return the workers of a version that recently polled for workflow tasks."""
        pollers: list[Poller] = []
        for queue in self._queues:
            request = DescribeTaskQueueRequest(
                namespace=self._client.namespace,
                task_queue=TaskQueue(name=queue),
                task_queue_type=_WORKFLOWS,
            )
            described = await self._service.describe_task_queue(request)
            pollers += [
                Poller(queue, info.identity) for info in described.pollers if self._is_worker(info, build)
            ]
        return pollers

    async def await_workers(self, build: str, processes: int, *, missing_queues: bool = False) -> None:
        """Wait until enough processes of a version serve every task queue.

        Temporal shows a polling worker a moment before it counts the queue as one of the version's. Until
        then it refuses to promote the version in place of one that serves the queue, so this waits for
        that as well.

        Args:
            build: The version.
            processes: The number of processes.
            missing_queues: Whether it may leave out what the current version serves on these queues.

        Raises:
            ConfigurationError: They do not in time; names the queues and how many processes are missing.
        """
        refused, known = "", {version.build for version in await self.versions()}

        async def missing() -> str:
            nonlocal refused
            pollers = await self._patiently(lambda: self.pollers(build))
            serving = {
                queue: len({poller.identity for poller in pollers if poller.queue == queue})
                for queue in self._queues
            }
            too_few = [f"{queue} has {n} of {processes}" for queue, n in serving.items() if n < processes]
            too_few = too_few or await self._patiently(lambda: self._uncounted(build, missing_queues))
            refused = await self._patiently(lambda: self._refusal(build)) if too_few else ""
            if refused:
                return f"Temporal refuses version {build}: {refused}"
            return f"too few workers of version {build}: {', '.join(too_few)}" if too_few else ""

        lacking = await until(missing, self._wait, self._report)
        if lacking:
            if build not in known and not await self._patiently(lambda: self.pollers(build)):
                # To be asked whether it refuses the version, Temporal was told of it.
                await self.forget(build)
            fix = _RETIRE if refused else _START
            raise ConfigurationError(f"not promoted after {self._wait:g} s: {lacking}; {fix}")

    async def forget(self, build: str) -> str:
        """Delete the record of a version; return Temporal's reason where it refuses, else nothing."""
        request = DeleteWorkerDeploymentVersionRequest(
            namespace=self._client.namespace,
            deployment_version=WorkerDeploymentVersion(deployment_name=self.name, build_id=build),
            identity=self._client.identity,
        )
        try:
            await self._patiently(lambda: self._service.delete_worker_deployment_version(request))
        except RPCError as error:
            if error.status in _INVALID:
                return error.message
            raise
        return ""

    async def make_current(self, build: str, *, missing_queues: bool = False) -> bool:
        """Make a version the current one; return whether that was a change.

        Args:
            build: The version.
            missing_queues: Whether it may leave out task queues of the version before it.

        Raises:
            ConfigurationError: Temporal does not know the version, or refuses.
        """

        async def change() -> bool:
            description = await self._required()
            if _current(description) == build:
                return False
            await self._service.set_worker_deployment_current_version(
                SetWorkerDeploymentCurrentVersionRequest(
                    namespace=self._client.namespace,
                    deployment_name=self.name,
                    build_id=build,
                    conflict_token=description.conflict_token,
                    identity=self._client.identity,
                    ignore_missing_task_queues=missing_queues,
                )
            )
            return True

        return await self._changed(change)

    async def ramp(self, build: str, percentage: float, *, missing_queues: bool = False) -> bool:
        """Give a version a share of the new workflows; return whether that was a change.

        Args:
            build: The version.
            percentage: The share, 0 to 100; 0 ends the ramp.
            missing_queues: Whether it may leave out task queues of the current version.

        Raises:
            ConfigurationError: Temporal does not know the version, or refuses.
        """

        async def change() -> bool:
            description = await self._required()
            routing = description.worker_deployment_info.routing_config
            ramping = routing.ramping_deployment_version.build_id == build
            if (routing.ramping_version_percentage if ramping else 0.0) == percentage:
                return False
            await self._service.set_worker_deployment_ramping_version(
                SetWorkerDeploymentRampingVersionRequest(
                    namespace=self._client.namespace,
                    deployment_name=self.name,
                    build_id=build if percentage else "",
                    percentage=percentage,
                    conflict_token=description.conflict_token,
                    identity=self._client.identity,
                    ignore_missing_task_queues=missing_queues,
                )
            )
            return True

        return await self._changed(change)

    async def _changed(self, change: Callable[[], Awaitable[bool]]) -> bool:
        """Make a change, and try again when Temporal refuses because somebody else was first."""
        try:
            return await patiently(change, self._wait, self._report, transient=_contended)
        except RPCError as error:
            if error.status in _INVALID:
                raise ConfigurationError(f"{self.name} stays as it is: {error.message}") from error
            raise

    async def _patiently(self, work: Callable[[], Awaitable[T]]) -> T:
        return await patiently(work, self._wait, self._report)

    async def _required(self) -> DescribeWorkerDeploymentResponse:
        description = await self._describe()
        if description is None:
            raise ConfigurationError(
                f"Temporal knows no worker deployment {self.name} in the namespace {self._client.namespace}: "
                "no process with TEMPORAL_WORKER_BUILD_ID has run there yet"
            )
        return description

    async def _describe(self) -> DescribeWorkerDeploymentResponse | None:
        request = DescribeWorkerDeploymentRequest(namespace=self._client.namespace, deployment_name=self.name)
        return await _unless_unknown(self._service.describe_worker_deployment(request))

    async def _refusal(self, build: str) -> str:
        return await refusal(self._client, self.name, build) or ""

    async def _uncounted(self, build: str, missing_queues: bool) -> list[str]:
        """Return the queues that a version must serve and that Temporal does not count as its own yet."""
        needed = {(queue, _WORKFLOWS) for queue in self._queues}
        current = "" if missing_queues else await self._current()
        if current:
            needed |= {served for served in await self._served(current) if served[0] in self._queues}
        lacking = sorted(needed - await self._served(build))
        return [f"{queue} is not yet counted as served ({_KINDS.get(kind, kind)})" for queue, kind in lacking]

    async def _current(self) -> str:
        description = await self._describe()
        return _current(description) if description else ""

    async def _served(self, build: str) -> set[tuple[str, TaskQueueType.ValueType]]:
        """Return the task queues that Temporal counts as a version's own, each with its type."""
        version = WorkerDeploymentVersion(deployment_name=self.name, build_id=build)
        request = DescribeWorkerDeploymentVersionRequest(
            namespace=self._client.namespace, deployment_version=version
        )
        described = await _unless_unknown(self._service.describe_worker_deployment_version(request))
        return {(queue.name, queue.type) for queue in described.version_task_queues} if described else set()

    def _is_worker(self, info: PollerInfo, build: str) -> bool:
        options = info.deployment_options
        own = (options.deployment_name, options.build_id) == (self.name, build)
        return own and datetime.now(UTC) - _time(info.last_access_time) < _RECENT


async def _unless_unknown(answer: Awaitable[T]) -> T | None:
    """Return the answer, or None when Temporal does not know the subject of the request."""
    try:
        return await answer
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return None
        raise


def _current(description: DescribeWorkerDeploymentResponse) -> str:
    return description.worker_deployment_info.routing_config.current_deployment_version.build_id


def _versions(info: WorkerDeploymentInfo) -> Sequence[Version]:
    routing = info.routing_config
    summaries = sorted(info.version_summaries, key=lambda s: s.create_time.ToNanoseconds(), reverse=True)
    return [_version(summary, routing.ramping_version_percentage) for summary in summaries]


def _version(summary: WorkerDeploymentInfo.WorkerDeploymentVersionSummary, ramp: float) -> Version:
    status = WorkerDeploymentVersionStatus.Name(summary.status).removeprefix(_STATUS).lower()
    since = {
        "current": summary.current_since_time,
        "ramping": summary.ramping_since_time,
        "draining": summary.last_deactivation_time,
        "drained": summary.drainage_info.last_changed_time,
    }.get(status, summary.create_time)
    percentage = ramp if status == "ramping" else 0.0
    return Version(summary.deployment_version.build_id, status, percentage, _time(since))


def _time(stamp: Timestamp) -> datetime:
    return stamp.ToDatetime(UTC)


def _contended(error: Exception) -> bool:
    """Return whether somebody else changed the deployment first, or Temporal is unavailable."""
    if not isinstance(error, RPCError):
        return False
    return error.status in _UNAVAILABLE or "conflict token" in error.message


_UNAVAILABLE = {RPCStatusCode.DEADLINE_EXCEEDED, RPCStatusCode.RESOURCE_EXHAUSTED, RPCStatusCode.UNAVAILABLE}
_INVALID = {RPCStatusCode.FAILED_PRECONDITION, RPCStatusCode.INVALID_ARGUMENT, RPCStatusCode.NOT_FOUND}
