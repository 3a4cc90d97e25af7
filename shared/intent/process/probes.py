"""The probes of a context process: what must make progress, and for which services."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Final

from temporalio.client import Client

from intent.commands import WorkflowRouter
from intent.consumers import ConsumerServing
from intent.process.workers import Workers
from intent.projections.supervisor import ProjectionSupervisor
from intent.service import Probe
from intent.service.servicers.commands import COMMANDS
from intent.service.servicers.consumers import CONSUMERS
from intent.service.servicers.sagas import SAGAS
from intent.temporal.connection import temporal_problem
from intent.temporal.registration import Registration

__all__ = ["STALLED", "consumers_probe", "probes_of"]

STALLED: Final = 30.0
"""Seconds without progress after which read models, consumers and batches count as stuck."""


def probes_of(
    client: Client,
    workers: Workers | None,
    projections: ProjectionSupervisor,
    router: WorkflowRouter,
    *,
    serve: bool,
    version: tuple[str, str] | None = None,
) -> list[Probe]:
    """Return the probes that every process has.

    A process that serves answers queries from PostgreSQL alone; one that does not is there for Temporal.
    A projection or a batch that is stuck is stuck in every process of the context, and takes none of
    them out of service.

    Args:
        client: A client of Temporal.
        workers: The workers; None: the process has none.
        projections: Runs the projections.
        router: Carries the commands.
        serve: Whether the process serves.
        version: The deployment and the build id of a process that works as a version.
    """
    needing_temporal: Collection[str] | None = (COMMANDS, SAGAS) if serve else None

    async def temporal() -> str:
        return await temporal_problem(client)

    async def working() -> str:
        return workers.problem() if workers is not None else ""

    async def projecting() -> str:
        await projections.measure()
        return projections.stalled(STALLED)

    async def carrying() -> str:
        return "; ".join(
            f"the {batch.commands} command(s) of {batch.workflow} have had no outcome "
            f"since {datetime.fromtimestamp(batch.since, tz=UTC):%H:%M:%S} UTC"
            for batch in router.stalled(STALLED)
        )

    return [
        Probe("temporal", temporal, needing_temporal),
        Probe("worker", working, () if serve else None),
        Probe("projections", projecting, ()),
        Probe("commands", carrying, ()),
        *_version_probe(client, version),
    ]


def _version_probe(client: Client, version: tuple[str, str] | None) -> list[Probe]:
    """Return the probe of a process that is a version; while it is refused, a rollout must stop."""
    return [] if version is None else [Probe("version", Registration(client, *version).problem)]


def consumers_probe(consumers: ConsumerServing) -> Probe:
    """Return the probe of a process that serves consumers."""

    async def leasing() -> str:
        return consumers.stalled(STALLED)

    return Probe("consumers", leasing, services=(CONSUMERS,))
