"""The probes of a context process: what must make progress for it to be ready."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from temporalio.client import Client
from temporalio.worker import Worker

from intent.commands import WorkflowRouter
from intent.consumers import ConsumerServing
from intent.projections.supervisor import ProjectionSupervisor
from intent.service import Probe
from intent.service.servicers.consumers import CONSUMERS
from intent.temporal.connection import temporal_problem
from intent.temporal.registration import Registration

__all__ = ["STALLED", "consumers_probe", "probes_of"]

STALLED: Final = 30.0
"""Seconds without progress after which read models, consumers and batches count as stuck."""


def probes_of(
    client: Client, workers: Sequence[Worker], projections: ProjectionSupervisor, router: WorkflowRouter
) -> list[Probe]:
    """Return the probes that every process has."""

    async def temporal() -> str:
        return await temporal_problem(client)

    async def working() -> str:
        stopped = [worker.task_queue for worker in workers if not worker.is_running]
        return f"the worker of {', '.join(stopped)} has stopped" if stopped else ""

    async def projecting() -> str:
        return projections.stalled(STALLED)

    async def carrying() -> str:
        return "; ".join(
            f"the {batch.commands} command(s) of {batch.workflow} have had no outcome "
            f"since {datetime.fromtimestamp(batch.since, tz=UTC):%H:%M:%S} UTC"
            for batch in router.stalled(STALLED)
        )

    return [
        Probe("temporal", temporal),
        Probe("worker", working),
        Probe("projections", projecting),
        Probe("commands", carrying),
        *_version_probe(client, workers),
    ]


def _version_probe(client: Client, workers: Sequence[Worker]) -> list[Probe]:
    """Return the probe of a process that is a version; while it is refused, a rollout must stop."""
    configs = [config for worker in workers if (config := worker.config().get("deployment_config"))]
    if not configs:
        return []
    version = configs[0].version
    return [Probe("version", Registration(client, version.deployment_name, version.build_id).problem)]


def consumers_probe(consumers: ConsumerServing) -> Probe:
    """Return the probe of a process that serves consumers."""

    async def leasing() -> str:
        return consumers.stalled(STALLED)

    return Probe("consumers", leasing, services=(CONSUMERS,))
