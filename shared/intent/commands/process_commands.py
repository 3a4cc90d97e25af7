"""The workflow that carries a batch of commands through load, decide, append, project and route."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, Final

from temporalio import workflow
from temporalio.exceptions import ApplicationError, FailureError

with workflow.unsafe.imports_passed_through():
    from google.protobuf.message import Message
    from intent_contracts.intent.v1 import (
        BatchHandled,
        CommandBatch,
        ProjectReply,
        ProjectRequest,
        RouteReply,
        RouteRequest,
    )

    from intent.temporal import names, policies

__all__ = ["ProcessCommands"]

_EVENTS_AT_START: Final = 3


@workflow.defn(name=names.PROCESS_COMMANDS)
class ProcessCommands:
    """The workflow of a batch of commands of one context.

    The handle step loads the aggregates, decides and appends, in one local activity. When it has
    appended something, the read models and the sagas follow side by side. Besides the commands, only
    positions, ids and outcomes pass through the workflow's history, never events or states.
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
        start_to_close_timeout=policies.HANDLE_TIMEOUT,
        retry_policy=policies.HANDLE_RETRY,
    )
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
