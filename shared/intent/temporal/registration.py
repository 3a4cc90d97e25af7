"""Whether Temporal takes a process as a version of its worker deployment."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from typing import Final

from google.protobuf.any_pb2 import Any as AnyMessage
from temporalio.api.deployment.v1 import WorkerDeploymentVersion
from temporalio.api.enums.v1 import ResourceExhaustedCause
from temporalio.api.errordetails.v1 import ResourceExhaustedFailure
from temporalio.api.workflowservice.v1 import (
    CreateWorkerDeploymentVersionRequest,
    DescribeWorkerDeploymentVersionRequest,
)
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

__all__ = ["Registration", "refusal"]

_log: Final = logging.getLogger(__name__)
_TIMEOUT: Final = timedelta(seconds=10)
_GLANCE: Final = 1.0
"""Seconds that one look waits for an answer; a probe may take two. A busy Temporal takes longer."""
_EVERY: Final = 5.0
_PATIENCE: Final = 30.0


async def refusal(client: Client, deployment: str, build: str, timeout: timedelta = _TIMEOUT) -> str | None:
    """Ask Temporal to register a version, as its workers do with each poll.

    A worker whose polls are refused does not say so: the SDK repeats them in silence. The same request
    made here is answered with the reason.

    Args:
        client: A client of the namespace.
        deployment: The worker deployment.
        build: The version's build id.
        timeout: Longest wait for each answer.

    Returns:
        Temporal's reason for refusing the version; empty when it is registered; None when it is not
        and Temporal gives no reason, as before the first poll for a new deployment.

    Raises:
        RPCError: Temporal is unavailable.
    """
    version = WorkerDeploymentVersion(deployment_name=deployment, build_id=build)
    if await _is_known(client, version, timeout):
        return ""
    wanted = CreateWorkerDeploymentVersionRequest(
        namespace=client.namespace, deployment_version=version, identity=client.identity
    )
    try:
        await client.workflow_service.create_worker_deployment_version(wanted, timeout=timeout)
    except RPCError as error:
        if error.status is RPCStatusCode.ALREADY_EXISTS:
            return ""
        if _is_refusal(error):
            return error.message
        if error.status in _SILENT:
            return None
        raise
    return ""


async def _is_known(client: Client, version: WorkerDeploymentVersion, timeout: timedelta) -> bool:
    asked = DescribeWorkerDeploymentVersionRequest(namespace=client.namespace, deployment_version=version)
    try:
        await client.workflow_service.describe_worker_deployment_version(asked, timeout=timeout)
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return False
        raise
    return True


class Registration:
    """The registration of this process as a version, watched until there is one.

    Args:
        client: A client of the namespace.
        deployment: The worker deployment.
        build: The build id of this process.
        every: Seconds between two questions.
        patience: Seconds without registration after which that is a problem even without a reason.
    """

    def __init__(
        self,
        client: Client,
        deployment: str,
        build: str,
        *,
        every: float = _EVERY,
        patience: float = _PATIENCE,
    ) -> None:
        self._client = client
        self._deployment = deployment
        self._build = build
        self._every = every
        self._since = asyncio.get_running_loop().time()
        self._patience = patience
        self._next = 0.0
        self._registered = False
        self._problem = ""
        self._asking: asyncio.Task[None] | None = None

    async def problem(self) -> str:
        """Return why Temporal gives this process no work; empty while nothing is known against it."""
        if not self._registered:
            now = asyncio.get_running_loop().time()
            if (self._asking is None or self._asking.done()) and now >= self._next:
                self._next = now + self._every
                self._asking = asyncio.create_task(self._ask(), name="registration of the version")
            if self._asking is not None:
                await asyncio.wait([self._asking], timeout=_GLANCE)
        return self._problem

    async def _ask(self) -> None:
        try:
            reason = await refusal(self._client, self._deployment, self._build)
        except RPCError as error:
            _log.debug("Temporal does not say whether it takes this version: %s", error.message)
            return
        self._registered = reason == ""
        self._problem = self._sentence(reason, asyncio.get_running_loop().time())

    def _sentence(self, reason: str | None, now: float) -> str:
        who = f"version {self._build} of the worker deployment {self._deployment}"
        if reason:
            return f"Temporal refuses {who}: {reason}"
        if reason is None and now - self._since > self._patience:
            return f"Temporal has not registered {who} for {self._patience:g} s; its log says why"
        return ""


def _is_refusal(error: RPCError) -> bool:
    """Return whether Temporal refuses the version itself, and not for being busy."""
    if error.status is RPCStatusCode.RESOURCE_EXHAUSTED:
        return any(map(_is_limit, error.grpc_status.details))
    return error.status in {RPCStatusCode.FAILED_PRECONDITION, RPCStatusCode.INVALID_ARGUMENT}


def _is_limit(detail: AnyMessage) -> bool:
    failure = ResourceExhaustedFailure()
    limits = ResourceExhaustedCause.RESOURCE_EXHAUSTED_CAUSE_WORKER_DEPLOYMENT_LIMITS
    return detail.Unpack(failure) and failure.cause == limits


# No deployment yet; who works may not register; an older Temporal.
_SILENT: Final = {RPCStatusCode.NOT_FOUND, RPCStatusCode.PERMISSION_DENIED, RPCStatusCode.UNIMPLEMENTED}
