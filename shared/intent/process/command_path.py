"""The command path of a context process, from the router to the log."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from temporalio.client import Client

from intent.background import Background
from intent.commands import (
    AggregateCache,
    BatchObserver,
    Carrier,
    CarrierSettings,
    ChangedStates,
    CommandHandling,
    CommandReports,
    ContextActivities,
    LaneLimits,
    LocalOutcomes,
    RouterSettings,
    WorkflowRouter,
)
from intent.guarding import Guard
from intent.model import BoundContext, StateWatch
from intent.process.guarding import suspicion
from intent.projections.supervisor import ProjectionSupervisor
from intent.saga_host import EventDelivery, SagaFollower
from intent.settings.config import Settings
from intent.store.postgres import PostgresEventStore, PostgresSagaFollower

__all__ = ["CommandPath", "command_path"]


@dataclass(frozen=True, slots=True)
class CommandPath:
    """What carries commands from the router to the log.

    Attributes:
        store: The event store.
        router: Accepts the commands.
        activities: The activities that a worker of the context registers.
        follower: Brings the context's events to sagas.
        guard: What the code of the context runs under.
    """

    store: PostgresEventStore
    router: WorkflowRouter
    activities: ContextActivities
    follower: SagaFollower
    guard: Guard


def command_path(
    settings: Settings,
    context: BoundContext,
    client: Client,
    store: PostgresEventStore,
    projections: ProjectionSupervisor,
    observer: BatchObserver | None = None,
    *,
    guard: Guard | None = None,
    work: bool = True,
    sagas_start_here: Callable[[], bool] = lambda: False,
    background: Background | None = None,
) -> CommandPath:
    """Connect router, lanes, carriers and activities of one context.

    Without a worker in this process, nothing here hands outcomes to the carriers directly. The outcomes
    of its own batches then arrive like those of other contexts: as the results of their workflows.

    Args:
        settings: The settings of the process.
        context: The context.
        client: A client of Temporal.
        store: The event store.
        projections: Runs the context's projections.
        observer: Counts batches.
        guard: What the code of the context runs under; None: one that notes nothing.
        work: Whether this process has a worker.
        sagas_start_here: Returns whether sagas of the context may currently start in this process.
        background: Runs what is done in the background.
    """
    local_outcomes = LocalOutcomes()
    guard = guard or Guard(settings.handler_timeout)

    def carrier_of(name: str) -> Carrier:
        own = name == context.name
        return Carrier(
            name,
            client,
            store=store if own and work else None,
            projections=projections if own else None,
            local_outcomes=local_outcomes,
            settings=CarrierSettings(
                project_wait=settings.project_wait, unavailable_after=settings.unavailable_after
            ),
            observer=observer,
        )

    reports = CommandReports(context.name, client, store)
    router = WorkflowRouter(carrier_of, reports, _router(settings), suspicion(guard.doubts), background)
    undeclared = observer.rejection_undeclared if observer is not None else lambda *_: None
    count = observer.state_changed if observer is not None else lambda _: None
    changed = ChangedStates(StateWatch(strict=settings.dev), count)
    handling = CommandHandling(
        context, store, _cache(settings), undeclared=undeclared, changed=changed, guard=guard
    )
    delivery = EventDelivery(context, client, sagas_start_here)
    follower = SagaFollower(context, delivery, PostgresSagaFollower(store.pool, context.name))
    activities = ContextActivities(context, store, handling, projections, router, follower, local_outcomes)
    return CommandPath(store, router, activities, follower, guard)


def _cache(settings: Settings) -> AggregateCache:
    return AggregateCache(settings.cached_aggregates, settings.cached_aggregates_max_bytes)


def _router(settings: Settings) -> RouterSettings:
    limits = LaneLimits(
        batch_commands=settings.batch_max_commands,
        batch_bytes=settings.batch_max_bytes,
        capacity=settings.lane_capacity,
        capacity_bytes=settings.lane_max_bytes,
        overdue_after=settings.unavailable_after / 2,
    )
    return RouterSettings(settings.lanes, limits, settings.unavailable_after)
