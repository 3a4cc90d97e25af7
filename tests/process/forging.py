"""Somebody who may write to Temporal's namespace, and has no keys."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

from google.protobuf.message import Message
from intent.temporal import data_converter
from intent.temporal.policies import HANDLE_RETRY
from temporalio import workflow
from temporalio.api.common.v1 import Payload
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.common import RawValue, RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

__all__ = ["Forger"]

LONGEST = timedelta(seconds=90)


@workflow.defn(name="Forged")
class Forged:
    """Calls an activity of somebody else's worker."""

    @workflow.run
    async def run(self, queue: str, activity: str, argument: RawValue) -> str:
        try:
            await workflow.execute_activity(
                activity,
                argument,
                task_queue=queue,
                start_to_close_timeout=LONGEST,
                retry_policy=RetryPolicy(initial_interval=HANDLE_RETRY.initial_interval),
            )
        except ActivityError as error:
            return _type_of(error)
        return "done"


def _type_of(error: ActivityError | WorkflowFailureError) -> str:
    return error.cause.type or "" if isinstance(error.cause, ApplicationError) else str(error.cause)


class Forger:
    """A plain client of Temporal.

    Args:
        client: The client.
    """

    def __init__(self, client: Client) -> None:
        self.client = client

    @classmethod
    async def at(cls, address: str) -> Forger:
        """Connect, as anybody who reaches Temporal may."""
        return cls(await Client.connect(address, data_converter=data_converter))

    async def started(self, type_: str, queue: str, argument: Message | RawValue, id_: str = "") -> str:
        """Start a workflow; return the type of the error with which it ends, or ``done``."""
        handle: WorkflowHandle[object, object] = await self.client.start_workflow(
            type_, argument, id=id_ or uuid4().hex, task_queue=queue, execution_timeout=LONGEST
        )
        try:
            await handle.result()
        except WorkflowFailureError as error:
            return _type_of(error)
        return "done"

    async def called(self, queue: str, activity: str, argument: Message | RawValue) -> str:
        """Call an activity from a workflow of one's own; return the type of its error, or ``done``."""
        own = uuid4().hex
        async with Worker(
            self.client, task_queue=own, workflows=[Forged], workflow_runner=UnsandboxedWorkflowRunner()
        ):
            said: str = await self.client.execute_workflow(
                Forged.run,
                args=[queue, activity, argument],
                id=own,
                task_queue=own,
                execution_timeout=LONGEST,
            )
            return said

    async def input_of(self, workflow_id: str) -> Payload:
        """Return what a workflow was started with, as its history shows it to everybody."""
        history = await self.client.get_workflow_handle(workflow_id).fetch_history()
        started = history.events[0].workflow_execution_started_event_attributes
        return started.input.payloads[0]
