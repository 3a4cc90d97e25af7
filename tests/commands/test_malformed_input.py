"""What activities are given from outside and cannot be, fails at once and is not retried."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import uuid4

import pytest
import pytest_asyncio
from intent.dev.services import TemporalServer
from intent.process.assembly import CommandPath
from intent.temporal import data_converter, names
from intent.temporal.workflow_kit import ContextSteps, command_envelope, event_payload
from intent_contracts.intent.v1 import (
    ApplyRequest,
    BatchHandled,
    CommandBatch,
    CommandEnvelope,
    CommandOutcome,
    FailureKind,
)
from intent_contracts.orders.v1 import ConfirmOrder, OrderConfirmed
from temporalio import workflow
from temporalio.client import Client, WorkflowFailureError
from temporalio.exceptions import ActivityError, ApplicationError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

QUEUE = "careless"
LONGEST = timedelta(seconds=20)

FIELDS: dict[str, dict[str, object]] = {
    "command_id": {"command_id": "not-a-uuid"},
    "no command_id": {"command_id": ""},
    "tenant_id": {"tenant_id": ""},
    "long tenant_id": {"tenant_id": "t" * 300},
    "correlation_id": {"correlation_id": "c" * 3_000},
    "actor": {"actor": "a" * 3_000},
    "expected_version": {"expected_version": -1},
    "received_at": {"received_at": {"seconds": 1 << 60}},
}


def envelope(field: str) -> CommandEnvelope:
    """Return the confirmation of an order, with one field that is malformed."""
    sound = command_envelope("acme", uuid4(), ConfirmOrder(order_id="o-1"))
    for name in FIELDS[field]:
        sound.ClearField(name)  # type: ignore[arg-type]
    sound.MergeFrom(CommandEnvelope(**FIELDS[field]))  # type: ignore[arg-type]
    return sound


def refused(outcome: CommandOutcome, field: str) -> bool:
    failure = outcome.failure
    return (failure.kind, failure.reason) == (FailureKind.FAILURE_KIND_INVALID, "CONTRACT_VIOLATED") and all(
        violation.field.startswith(field.split()[-1]) for violation in failure.violations
    )


@workflow.defn
class Careless:
    """A workflow of somebody who is careless with what it hands to the activities of orders."""

    @workflow.run
    async def run(self, what: str) -> CommandOutcome | None:
        orders = ContextSteps("orders")
        match what:
            case "load_aggregate":
                await orders.load_aggregate("", "Order", "o-1")
            case "load_aggregate of another":
                await orders.load_aggregate("acme", "Parcel", "o-1")
            case "project_events":
                await orders.project_events(-1)
            case "route_event":
                await orders.route_event([0])
            case "apply_events":
                return await orders.apply_events(applying(envelope("command_id")))
            case _:
                return await orders.route_command(envelope("command_id"))
        return None


def applying(command: CommandEnvelope) -> ApplyRequest:
    return ApplyRequest(
        command=command,
        aggregate_type="Order",
        aggregate_id="o-1",
        expected_version=0,
        events=[event_payload(OrderConfirmed())],
    )


@pytest_asyncio.fixture
async def client(temporal: TemporalServer) -> AsyncIterator[Client]:
    yield await Client.connect(temporal.address, data_converter=data_converter)


async def test_a_malformed_field_is_an_outcome(path: CommandPath) -> None:
    for field in FIELDS:
        assert refused(await path.activities.route_command(envelope(field)), field)
        assert refused((await path.activities.apply_events(applying(envelope(field)))).outcome, field)
    for name, value in (("aggregate_type", "Parcel"), ("aggregate_id", ""), ("expected_version", -1)):
        request = applying(command_envelope("acme", uuid4()))
        setattr(request, name, value)
        outcome = (await path.activities.apply_events(request)).outcome
        assert refused(outcome, name)


async def test_workflows_are_answered_at_once(path: CommandPath, client: Client) -> None:
    worker = Worker(
        client, task_queue=QUEUE, workflows=[Careless], workflow_runner=UnsandboxedWorkflowRunner()
    )

    async def ran(what: str) -> CommandOutcome | None:
        return await client.execute_workflow(
            Careless.run, what, id=uuid4().hex, task_queue=QUEUE, execution_timeout=LONGEST
        )

    async with worker:
        for step in ("apply_events", "route_command"):
            outcome = await ran(step)
            assert outcome is not None
            assert refused(outcome, "command_id")
        for step in ("load_aggregate", "load_aggregate of another", "project_events", "route_event"):
            with pytest.raises(WorkflowFailureError) as failed:
                await ran(step)
            cause = failed.value.cause
            assert isinstance(cause, ActivityError)
            assert isinstance(cause.cause, ApplicationError)
            assert cause.cause.type == "CONTRACT_VIOLATED"
    batch = CommandBatch(context="orders", commands=map(envelope, FIELDS), reply_outcomes=True)
    handled = await client.execute_workflow(
        names.PROCESS_COMMANDS,
        batch,
        result_type=BatchHandled,
        id=uuid4().hex,
        task_queue=names.command_queue("orders"),
        execution_timeout=LONGEST,
    )
    assert all(refused(outcome, field) for outcome, field in zip(handled.outcomes, FIELDS, strict=True))
