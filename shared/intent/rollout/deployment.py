"""A worker deployment in Temporal: its versions, which one is current, which ones still have work."""

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
from intent.rollout.waiting import Tell, patiently, until

__all__ = ["Poller", "Version", "WorkerDeployment"]

T = TypeVar("T")

_RECENT = timedelta(seconds=90)
"""Since a worker last asked for tasks; one that lives asks at least once a minute."""
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
        since: When it got its status, by Temporal's clock.
    """

    build: str
    status: str
    percentage: float
    since: datetime

    @property
    def in_use(self) -> bool:
        """Whether workflows begin on it, or some that are pinned to it still run."""
        return self.status in {"current", "ramping", "draining"}


@dataclass(frozen=True, slots=True)
class Poller:
    """A worker that asks for tasks.

    Attributes:
        queue: The task queue.
        identity: The worker's identity, by default process id and host.
    """

    queue: str
    identity: str


class WorkerDeployment:
    """The worker deployment of a context.

    Args:
        client: A client of the context's namespace.
        name: The deployment's name.
        queues: The task queues that a version must serve.
        wait: Seconds that Temporal may be away, that workers may take to come up, and that others may
            keep changing the deployment.
        tell: Gets a sentence for whoever watches.
    """

    def __init__(self, client: Client, name: str, queues: Collection[str], wait: float, tell: Tell) -> None:
        self.name = name
        self._client = client
        self._service = client.workflow_service
        self._queues = tuple(queues)
        self._wait = wait
        self._tell = tell

    async def versions(self) -> Sequence[Version]:
        """Returns the versions, the newest first; none when Temporal does not know the deployment."""
        found = await self._patiently(self._describe)
        return () if found is None else _versions(found.worker_deployment_info)

    async def version(self, build: str) -> Version:
        """Returns one version.

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
        """Returns the workers of a version that asked for workflow tasks within the last minute."""
        found: list[Poller] = []
        for queue in self._queues:
            request = DescribeTaskQueueRequest(
                namespace=self._client.namespace,
                task_queue=TaskQueue(name=queue),
                task_queue_type=_WORKFLOWS,
            )
            described = await self._service.describe_task_queue(request)
            found += [
                Poller(queue, info.identity) for info in described.pollers if self._is_worker(info, build)
            ]
        return found

    async def await_workers(self, build: str, processes: int, *, missing_queues: bool = False) -> None:
        """Waits until enough processes of a version serve every task queue.

        Temporal shows a worker that polls a moment before it counts the queue among the version's, and until
        then refuses to promote it in place of one that serves that queue; so that is waited for as well.

        Args:
            build: The version.
            processes: How many of them.
            missing_queues: Whether it need not serve what the current version serves on these queues.

        Raises:
            ConfigurationError: They do not in time; says which queues lack how many.
        """

        async def missing() -> str:
            pollers = await self._patiently(lambda: self.pollers(build))
            there = {queue: len({p.identity for p in pollers if p.queue == queue}) for queue in self._queues}
            few = [f"{queue} has {n} of {processes}" for queue, n in there.items() if n < processes]
            few = few or await self._patiently(lambda: self._uncounted(build, missing_queues))
            return f"workers of version {build}: {', '.join(few)}" if few else ""

        lacking = await until(missing, self._wait, self._tell)
        if lacking:
            raise ConfigurationError(
                f"not promoted, after {self._wait:g} s there are too few {lacking}; look why the new "
                "processes do not start, or give them more time with --wait"
            )

    async def make_current(self, build: str, *, missing_queues: bool = False) -> bool:
        """Makes a version the current one; returns whether it was not before.

        Args:
            build: The version.
            missing_queues: Whether it need not serve every task queue of the version before it.

        Raises:
            ConfigurationError: Temporal does not know the version, or refuses.
        """

        async def change() -> bool:
            found = await self._required()
            if _current(found) == build:
                return False
            await self._service.set_worker_deployment_current_version(
                SetWorkerDeploymentCurrentVersionRequest(
                    namespace=self._client.namespace,
                    deployment_name=self.name,
                    build_id=build,
                    conflict_token=found.conflict_token,
                    identity=self._client.identity,
                    ignore_missing_task_queues=missing_queues,
                )
            )
            return True

        return await self._changed(change)

    async def ramp(self, build: str, percentage: float, *, missing_queues: bool = False) -> bool:
        """Gives a version a share of the new workflows; returns whether that is a change.

        Args:
            build: The version.
            percentage: The share, 0 to 100; 0 ends the ramp.
            missing_queues: Whether it need not serve every task queue of the current version.

        Raises:
            ConfigurationError: Temporal does not know the version, or refuses.
        """

        async def change() -> bool:
            found = await self._required()
            routing = found.worker_deployment_info.routing_config
            ramping = routing.ramping_deployment_version.build_id == build
            if (routing.ramping_version_percentage if ramping else 0.0) == percentage:
                return False
            await self._service.set_worker_deployment_ramping_version(
                SetWorkerDeploymentRampingVersionRequest(
                    namespace=self._client.namespace,
                    deployment_name=self.name,
                    build_id=build if percentage else "",
                    percentage=percentage,
                    conflict_token=found.conflict_token,
                    identity=self._client.identity,
                    ignore_missing_task_queues=missing_queues,
                )
            )
            return True

        return await self._changed(change)

    async def _changed(self, change: Callable[[], Awaitable[bool]]) -> bool:
        """Makes a change; Temporal refuses it when somebody else was first, then it is made again."""
        try:
            return await patiently(change, self._wait, self._tell, passing=_contended)
        except RPCError as error:
            if error.status in _WRONG:
                raise ConfigurationError(f"{self.name} stays as it is: {error.message}") from error
            raise

    async def _patiently(self, work: Callable[[], Awaitable[T]]) -> T:
        return await patiently(work, self._wait, self._tell)

    async def _required(self) -> DescribeWorkerDeploymentResponse:
        found = await self._describe()
        if found is None:
            raise ConfigurationError(
                f"Temporal knows no worker deployment {self.name} in the namespace {self._client.namespace}: "
                "no process with TEMPORAL_WORKER_BUILD_ID has run there yet"
            )
        return found

    async def _describe(self) -> DescribeWorkerDeploymentResponse | None:
        request = DescribeWorkerDeploymentRequest(namespace=self._client.namespace, deployment_name=self.name)
        return await _unless_unknown(self._service.describe_worker_deployment(request))

    async def _uncounted(self, build: str, missing_queues: bool) -> list[str]:
        """Tells which queues Temporal does not yet count as served by a version, of those it has to serve."""
        needed = {(queue, _WORKFLOWS) for queue in self._queues}
        current = "" if missing_queues else await self._current()
        if current:
            needed |= {served for served in await self._served(current) if served[0] in self._queues}
        lacking = sorted(needed - await self._served(build))
        return [f"{queue} is not yet counted as served ({_KINDS.get(kind, kind)})" for queue, kind in lacking]

    async def _current(self) -> str:
        found = await self._describe()
        return _current(found) if found else ""

    async def _served(self, build: str) -> set[tuple[str, TaskQueueType.ValueType]]:
        """Returns the task queues that Temporal counts as a version's, each with its type."""
        version = WorkerDeploymentVersion(deployment_name=self.name, build_id=build)
        request = DescribeWorkerDeploymentVersionRequest(
            namespace=self._client.namespace, deployment_version=version
        )
        found = await _unless_unknown(self._service.describe_worker_deployment_version(request))
        return {(queue.name, queue.type) for queue in found.version_task_queues} if found else set()

    def _is_worker(self, info: PollerInfo, build: str) -> bool:
        options = info.deployment_options
        mine = (options.deployment_name, options.build_id) == (self.name, build)
        return mine and datetime.now(UTC) - _time(info.last_access_time) < _RECENT


async def _unless_unknown(asked: Awaitable[T]) -> T | None:
    """Returns the answer, None when Temporal does not know what is asked for."""
    try:
        return await asked
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return None
        raise


def _current(found: DescribeWorkerDeploymentResponse) -> str:
    return found.worker_deployment_info.routing_config.current_deployment_version.build_id


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
    """Whether somebody else changed the deployment first, or Temporal is away."""
    if not isinstance(error, RPCError):
        return False
    return error.status in _AWAY or "conflict token" in error.message


_AWAY = {RPCStatusCode.DEADLINE_EXCEEDED, RPCStatusCode.RESOURCE_EXHAUSTED, RPCStatusCode.UNAVAILABLE}
_WRONG = {RPCStatusCode.FAILED_PRECONDITION, RPCStatusCode.INVALID_ARGUMENT, RPCStatusCode.NOT_FOUND}
