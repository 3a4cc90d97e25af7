"""The workflow that carries a batch of commands through load, decide, append, project and route."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Sequence
from typing import Any, Final, NoReturn

from temporalio import workflow
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import ApplicationError, FailureError, WorkflowAlreadyStartedError

with workflow.unsafe.imports_passed_through():
    from google.protobuf.message import Message
    from intent_contracts.intent.v1 import (
        BatchHandled,
        CommandBatch,
        CommandEnvelope,
        ProjectReply,
        ProjectRequest,
        RouteReply,
        RouteRequest,
    )

    from intent.temporal import names, policies
    from intent.temporal.attributes import batch_attributes, batch_priority, batch_summary

__all__ = ["ProcessCommands"]

_EVENTS_AT_START: Final = 3
_FIRST_PAUSE: Final = 2
_LONGEST_PAUSE: Final = 300
_TRIES_PER_PAUSE: Final = 8
"""During a rolling update it takes a few tries until a process of the newer release gets the work."""


@workflow.defn(name=names.PROCESS_COMMANDS)
class ProcessCommands:
    """The workflow of a batch of commands of one context.

    The handle step loads the aggregates, decides and appends, in one local activity. When it has
    appended something, the read models and the sagas follow side by side. What would hold up the other
    commands is set apart by that step, and gets a workflow of its own for each aggregate. Besides the
    commands, only positions, ids and outcomes pass through the workflow's history, never events or states.
    """

    @workflow.run
    async def run(self, batch: CommandBatch) -> BatchHandled:
        """Run the batch.

        Args:
            batch: The commands, in the order in which they are handled.

        Returns:
            The position of the log, and the outcomes that the store does not keep.
        """
        handled = await _handle(batch)
        followers: list[Awaitable[None]] = []
        if handled.position:
            followers.append(_project(batch.context, handled.position))
        if handled.routed_positions:
            followers.append(_route(batch, list(handled.routed_positions)))
        followers += [_set_apart(batch, *apart) for apart in _apart(batch, handled)]
        if followers:
            await asyncio.gather(*followers)
        return handled


async def _handle(batch: CommandBatch) -> BatchHandled:
    request = batch
    if _begun_before():
        request = CommandBatch(again=True)
        request.MergeFrom(batch)
    handled: BatchHandled = await _until_done(
        names.HANDLE_COMMANDS,
        request,
        BatchHandled,
        batch,
        start_to_close_timeout=policies.APART_TIMEOUT if batch.apart else policies.HANDLE_TIMEOUT,
        retry_policy=policies.HANDLE_RETRY,
    )
    if handled.needs_newer:
        workflow.logger.warning("this batch is left to a newer release: %s", handled.needs_newer)
        await _leave_to_newer_release(batch)
    return handled


def _begun_before() -> bool:
    """Return whether another process may have begun the batch and died of it.

    The first attempt sees three events: the start, and its task scheduled and started. It differs between
    attempts and in a replay, which is harmless: a local activity's input is not part of the history.
    """
    info = workflow.info()
    return (
        info.get_current_history_length() > _EVENTS_AT_START
        or info.continued_run_id is not None
        or workflow.unsafe.is_replaying()
    )


async def _until_done(
    name: str, request: Message, reply: type[Message], batch: CommandBatch, **options: Any
) -> Any:
    """Run a step until it is done, however long that takes.

    A local activity that is retried for hours lets history grow with every heartbeat. Before it is too
    long the batch starts over in a new run, which its command ids and event ids make harmless.
    """
    while True:
        try:
            return await workflow.execute_local_activity(
                name, request, result_type=reply, schedule_to_close_timeout=policies.ROUND, **options
            )
        except FailureError as error:
            if isinstance(error, ApplicationError) and error.non_retryable:
                raise  # It is on the wrong queue, and would be refused at once each time.
            workflow.logger.warning("%s is not done yet, trying again: %s", name, error.cause or error)
            if workflow.info().is_continue_as_new_suggested():
                workflow.continue_as_new(batch)


async def _leave_to_newer_release(batch: CommandBatch) -> NoReturn:
    """Start over in a new run, whose first task any process of the context may take."""
    doublings = batch.left_to_newer // _TRIES_PER_PAUSE
    await workflow.sleep(min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** min(doublings, 8)))
    again = CommandBatch()
    again.CopyFrom(batch)
    again.left_to_newer += 1
    workflow.continue_as_new(again)


def _apart(batch: CommandBatch, handled: BatchHandled) -> list[tuple[str, Sequence[CommandEnvelope]]]:
    """Return the commands that were set apart, by the workflow in which they are to be continued."""
    targets = {(o.tenant_id, o.command_id): o.continued_in for o in handled.outcomes if o.continued_in}
    if not targets:
        return []
    commands: dict[str, list[CommandEnvelope]] = defaultdict(list)
    for command in batch.commands:
        target = targets.get((command.tenant_id, command.command_id))
        if target is not None:
            commands[target].append(command)
    return list(commands.items())


async def _set_apart(batch: CommandBatch, workflow_id: str, commands: Sequence[CommandEnvelope]) -> None:
    try:
        await workflow.start_child_workflow(
            names.PROCESS_COMMANDS,
            CommandBatch(
                context=batch.context,
                commands=commands,
                traceparent=batch.traceparent,
                reply_outcomes=batch.reply_outcomes,
                apart=True,
            ),
            id=workflow_id,
            parent_close_policy=workflow.ParentClosePolicy.ABANDON,
            id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
            task_timeout=names.WORKFLOW_TASK_TIMEOUT,
            search_attributes=batch_attributes(batch.context, commands),
            static_summary=batch_summary(commands),
            priority=batch_priority(commands),
        )
    except WorkflowAlreadyStartedError:
        # An earlier run of the batch has started it.
        return


async def _project(context: str, position: int) -> None:
    """Wait for the read models to reach a position; their own loop continues if this gives up."""
    try:
        await workflow.execute_local_activity(
            names.PROJECT_EVENTS,
            ProjectRequest(context=context, position=position),
            result_type=ProjectReply,
            start_to_close_timeout=policies.PROJECT_TIMEOUT,
            retry_policy=policies.PROJECT_RETRY,
        )
    except FailureError as error:
        workflow.logger.warning("read models lag behind position %d: %s", position, error)


async def _route(batch: CommandBatch, positions: list[int]) -> None:
    await _until_done(
        names.ROUTE_EVENT,
        RouteRequest(context=batch.context, positions=positions),
        RouteReply,
        batch,
        start_to_close_timeout=policies.ROUTE_TIMEOUT,
        retry_policy=policies.ROUTE_RETRY,
    )
