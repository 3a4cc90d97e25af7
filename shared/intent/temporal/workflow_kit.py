"""For authors of their own Temporal workflows: the activities of a context, ready to call.

Neither sagas nor the platform itself use this module. docs/writing-a-workflow.md shows a workflow
that uses all of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID, uuid5

from google.protobuf.message import Message
from intent_contracts.intent.v1 import (
    ApplyReply,
    ApplyRequest,
    CommandEnvelope,
    CommandOutcome,
    EventPayload,
    LoadReply,
    LoadRequest,
    ProjectReply,
    ProjectRequest,
    RouteReply,
    RouteRequest,
)
from temporalio import workflow

from intent import envelopes
from intent.origin import Origin
from intent.temporal import names, policies

__all__ = ["ContextSteps", "command_envelope", "event_payload", "step_id"]

_STEPS = UUID("0f6f2b0a-6b0e-5c36-8a51-3d1c1b0d9f27")


@dataclass(frozen=True, slots=True)
class ContextSteps:
    """The activities of one context, for a workflow on whichever task queue.

    A call waits while no worker of the context runs, and is retried without end while something
    that it needs is unavailable. All of them can be repeated without a second effect.

    Attributes:
        context: The context's name, e.g. ``orders``.
    """

    context: str

    async def load_aggregate(self, tenant: str, aggregate_type: str, aggregate_id: str) -> LoadReply:
        """Return an aggregate's version, 0 if it does not exist, and the position of the log."""
        reply: LoadReply = await workflow.execute_activity(
            names.LOAD_AGGREGATE,
            LoadRequest(tenant_id=tenant, aggregate_type=aggregate_type, aggregate_id=aggregate_id),
            result_type=LoadReply,
            task_queue=names.command_queue(self.context),
            start_to_close_timeout=policies.HANDLE_TIMEOUT,
            retry_policy=policies.HANDLE_RETRY,
        )
        return reply

    async def apply_events(self, request: ApplyRequest) -> CommandOutcome:
        """Append events that the workflow has decided, once per command id; return the outcome."""
        reply: ApplyReply = await workflow.execute_activity(
            names.APPLY_EVENTS,
            request,
            result_type=ApplyReply,
            task_queue=names.command_queue(self.context),
            start_to_close_timeout=policies.HANDLE_TIMEOUT,
            retry_policy=policies.HANDLE_RETRY,
        )
        return reply.outcome

    async def project_events(self, position: int) -> Sequence[str]:
        """Wait a few seconds for the read models; return the names of projections still behind."""
        reply: ProjectReply = await workflow.execute_activity(
            names.PROJECT_EVENTS,
            ProjectRequest(context=self.context, position=position),
            result_type=ProjectReply,
            task_queue=names.command_queue(self.context),
            start_to_close_timeout=policies.PROJECT_TIMEOUT,
            retry_policy=policies.HANDLE_RETRY,
        )
        return reply.behind

    async def route_event(self, positions: Sequence[int]) -> int:
        """Wait a little until events have reached the sagas that listen; return to how many they go."""
        reply: RouteReply = await workflow.execute_activity(
            names.ROUTE_EVENT,
            RouteRequest(context=self.context, positions=positions),
            result_type=RouteReply,
            task_queue=names.command_queue(self.context),
            start_to_close_timeout=policies.ROUTE_TIMEOUT,
            retry_policy=policies.ROUTE_RETRY,
        )
        return reply.deliveries

    async def route_command(self, envelope: CommandEnvelope) -> CommandOutcome:
        """Send a command to its context, whichever that is; return its outcome."""
        outcome: CommandOutcome = await workflow.execute_activity(
            names.ROUTE_COMMAND,
            envelope,
            result_type=CommandOutcome,
            task_queue=names.command_queue(self.context),
            start_to_close_timeout=policies.SLOW_ROUTE_TIMEOUT,
            retry_policy=policies.SLOW_ROUTE_RETRY,
            summary=envelope.type,
        )
        return outcome


def step_id(step: str) -> UUID:
    """Return a command id for a step of this workflow, the same however often the step is taken.

    It follows from the workflow's id and the name of the step, so another run of the same workflow
    id repeats the command instead of sending a second one.
    """
    return uuid5(_STEPS, f"{workflow.info().workflow_id}/{step}")


def command_envelope(
    tenant: str,
    command_id: UUID,
    command: Message | None = None,
    *,
    actor: str = "",
    correlation_id: str = "",
    expected_version: int | None = None,
) -> CommandEnvelope:
    """Return a command as activities take it.

    Args:
        tenant: The tenant on whose data it acts.
        command_id: Its id; see `step_id`.
        command: The command; None for `apply_events`, which brings its events instead.
        actor: Who sends it, e.g. ``service:import``.
        correlation_id: The id that everything which follows shares; by default the command's id.
        expected_version: The version that the aggregate must have, or None.
    """
    origin = Origin(tenant, command_id, correlation_id or str(command_id), actor=actor)
    type_, data = ("", b"") if command is None else _packed(command)
    return envelopes.command_envelope(origin, type_, data, expected_version=expected_version)


def event_payload(event: Message) -> EventPayload:
    """Return an event as `ContextSteps.apply_events` takes it, in its current schema version."""
    type_, data = _packed(event)
    return EventPayload(type=type_, data=data)


def _packed(message: Message) -> tuple[str, bytes]:
    return message.DESCRIPTOR.full_name, message.SerializeToString(deterministic=True)
