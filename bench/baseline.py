"""The baselines on bare Temporal: the throughput of the same machine without Intent."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import uuid4

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from bench.load import Load, closed_loop

QUEUE = "bench-baseline"
PAYLOAD = "x" * 300


@workflow.defn(name="BareNoOp")
class BareNoOp:
    """A workflow that does nothing: the minimum cost of a workflow per command."""

    @workflow.run
    async def run(self, payload: str) -> str:
        return payload


@activity.defn(name="BareActivity")
async def bare_activity(payload: str) -> str:
    """Do nothing."""
    return payload


@workflow.defn(name="BareFour")
class BareFour:
    """A workflow of four activities that do nothing, one after the other."""

    @workflow.run
    async def run(self, payload: str) -> str:
        for _ in range(4):
            payload = await workflow.execute_activity(
                bare_activity, payload, start_to_close_timeout=timedelta(seconds=60)
            )
        return payload


@asynccontextmanager
async def bare_worker(address: str) -> AsyncIterator[Client]:
    """Run a worker and yield a client in the same process."""
    client = await Client.connect(address)
    worker = Worker(
        client,
        task_queue=QUEUE,
        workflows=[BareFour, BareNoOp],
        activities=[bare_activity],
        workflow_runner=UnsandboxedWorkflowRunner(),
        max_cached_workflows=2000,
        max_concurrent_workflow_tasks=200,
        max_concurrent_activities=400,
    )
    async with worker:
        yield client


async def no_op(client: Client, *, callers: int, seconds: float, eager: bool, warm: float = 0.0) -> Load:
    """Run one bare workflow per call, in a closed loop."""

    async def call(_: int) -> None:
        await client.execute_workflow(
            "BareNoOp",
            PAYLOAD,
            id=f"bare-{uuid4().hex}",
            task_queue=QUEUE,
            request_eager_start=eager,
        )

    return await closed_loop(call, callers=callers, seconds=seconds, warm=warm)


async def four_activities(client: Client, *, callers: int, seconds: float, warm: float = 0.0) -> Load:
    """Run one bare workflow of four regular activities per call, in a closed loop."""

    async def call(_: int) -> None:
        await client.execute_workflow("BareFour", PAYLOAD, id=f"bare-{uuid4().hex}", task_queue=QUEUE)

    return await closed_loop(call, callers=callers, seconds=seconds, warm=warm)
