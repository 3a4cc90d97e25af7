"""The activities that every worker registers.

`handle_commands`, `project_events` and `route_event` are the steps of `ProcessCommands`, and
`route_command` sends the commands of sagas. All but `handle_commands` may also be called by workflows
that people write themselves; `load_aggregate` and `apply_events` are there for these alone. What they
return is positions, ids and outcomes, never recorded events or the state of an aggregate, so that
workflow history stays small.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from intent_contracts.intent.v1 import (
    ApplyReply,
    ApplyRequest,
    BatchHandled,
    CommandBatch,
    CommandEnvelope,
    CommandOutcome,
    FailureKind,
    LoadReply,
    LoadRequest,
    ProjectReply,
    ProjectRequest,
    RouteReply,
    RouteRequest,
)
from temporalio import activity
from temporalio.exceptions import ApplicationError

from intent.commands.applying import apply_decided
from intent.commands.batches import LocalOutcomes
from intent.commands.handling import CommandHandling, Handled
from intent.commands.outcomes import failed, fitting
from intent.commands.requests import CommandRequest, stream_of
from intent.commands.router import WorkflowRouter
from intent.errors import CommandError, InvalidCommand, NewerReleaseNeeded
from intent.model import BoundContext
from intent.read_models.read_side import ReadSide
from intent.saga_host import SagaFollower
from intent.store.event_store import EventStore
from intent.temporal import names

__all__ = ["ContextActivities"]

_PROJECT_WAIT = 5.0
_ROUTE_WAIT = 1.0
_RESULT_BYTES = 1024 * 1024
"""The bytes of outcomes in one result; Temporal takes 2 MiB, and positions are part of it as well."""


class ContextActivities:
    """The activities of one context.

    Args:
        context: The context, bound to its contracts.
        store: Its event store.
        handling: Handles its commands.
        projections: Its read models.
        router: Sends commands to any context.
        follower: Brings its events to sagas.
        local_outcomes: Where callers in this process wait for outcomes.
    """

    def __init__(
        self,
        context: BoundContext,
        store: EventStore,
        handling: CommandHandling,
        projections: ReadSide,
        router: WorkflowRouter,
        follower: SagaFollower,
        local_outcomes: LocalOutcomes,
    ) -> None:
        self._context = context
        self._store = store
        self._handling = handling
        self._projections = projections
        self._router = router
        self._follower = follower
        self._local_outcomes = local_outcomes

    @property
    def all(self) -> Sequence[Callable[..., Any]]:
        """Every activity, to register with a worker."""
        return [
            self.handle_commands,
            self.load_aggregate,
            self.apply_events,
            self.project_events,
            self.route_event,
            self.route_command,
        ]

    @activity.defn(name=names.HANDLE_COMMANDS)
    async def handle_commands(self, batch: CommandBatch) -> BatchHandled:
        """Load, decide and append a batch; each command gets its own outcome."""
        self._check(batch.context)
        workflow_id = activity.info().workflow_id or ""
        try:
            handled = await self._handling.handle(
                batch.commands,
                workflow_id,
                () if batch.apart else self._local_outcomes.requests(workflow_id),
                apart=batch.apart,
                again=batch.again,
            )
        except NewerReleaseNeeded as error:
            return BatchHandled(needs_newer=str(error))
        self._local_outcomes.publish(workflow_id, handled.outcomes)
        result = handled.outcomes if batch.reply_outcomes else _unrecorded(handled)
        return BatchHandled(
            outcomes=fitting(result, _RESULT_BYTES),
            position=handled.position,
            routed_positions=handled.routed_positions,
        )

    @activity.defn(name=names.LOAD_AGGREGATE)
    async def load_aggregate(self, request: LoadRequest) -> LoadReply:
        """Return an aggregate's version, and the position of the log."""
        with _refusing():
            key = stream_of(
                self._context, request, request.tenant_id, request.aggregate_type, request.aggregate_id
            )
        position = await self._store.position()
        loaded = await self._store.load([key], [])
        return LoadReply(version=loaded.streams[key].version, position=position)

    @activity.defn(name=names.APPLY_EVENTS)
    async def apply_events(self, request: ApplyRequest) -> ApplyReply:
        """Append events that a workflow decided itself, once per command id."""
        return ApplyReply(outcome=await apply_decided(self._context, self._store, request))

    @activity.defn(name=names.PROJECT_EVENTS)
    async def project_events(self, request: ProjectRequest) -> ProjectReply:
        """Wait until the read models have reached a position; name those that have not in time."""
        self._check(request.context)
        _require(request.position >= 0, "position must be a whole number from 0 up")
        behind = await self._projections.reach(request.position, _PROJECT_WAIT)
        return ProjectReply(position=request.position, behind=behind)

    @activity.defn(name=names.ROUTE_EVENT)
    async def route_event(self, request: RouteRequest) -> RouteReply:
        """Wait a little until recorded events have reached the sagas that listen to them.

        The follower brings them there, however long that takes, and whether or not anybody waits.
        """
        self._check(request.context)
        _require(all(position > 0 for position in request.positions), "positions must be numbers from 1 up")
        entries = await self._store.read_positions(list(request.positions))
        return RouteReply(deliveries=await self._follower.reach(entries, _ROUTE_WAIT))

    @activity.defn(name=names.ROUTE_COMMAND)
    async def route_command(self, envelope: CommandEnvelope) -> CommandOutcome:
        """Send a command to its context, whichever that is, and return its outcome.

        Raises:
            ApplicationError: Its context is unavailable; the workflow's retry policy applies.
        """
        try:
            result = await self._router.handle(
                CommandRequest.of_envelope(self._context.registry, envelope, applied_only=True)
            )
        except CommandError as error:
            if error.kind not in _DECIDED:
                raise ApplicationError(error.message, type=error.reason) from error
            return failed(envelope.tenant_id, envelope.command_id, error)
        return CommandOutcome(command_id=envelope.command_id, tenant_id=envelope.tenant_id, result=result)

    def _check(self, context: str) -> None:
        if context and context != self._context.name:
            raise ApplicationError(
                f"this worker serves {self._context.name}, not {context}; check the task queue",
                non_retryable=True,
            )


def _require(condition: bool, rule: str) -> None:
    if not condition:
        raise ApplicationError(rule, type="CONTRACT_VIOLATED", non_retryable=True)


@contextmanager
def _refusing() -> Iterator[None]:
    """Let an invalid request fail for good: repeated, it would be as invalid."""
    try:
        yield
    except InvalidCommand as error:
        raise ApplicationError(str(error), type=error.reason, non_retryable=True) from error


_DECIDED = {
    FailureKind.FAILURE_KIND_CONFLICT,
    FailureKind.FAILURE_KIND_INTERNAL,
    FailureKind.FAILURE_KIND_INVALID,
    FailureKind.FAILURE_KIND_NOT_FOUND,
    FailureKind.FAILURE_KIND_REJECTED,
}
"""What the command's own context says of the command. Everything else speaks of the platform, such as a
process of another version that does not know the command, and may be otherwise later."""


def _unrecorded(handled: Handled) -> list[CommandOutcome]:
    return [
        outcome for outcome, recorded in zip(handled.outcomes, handled.recorded, strict=True) if not recorded
    ]
