"""Commands through router, Temporal, PostgreSQL and back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from intent.dev.services import TemporalServer
from intent.errors import CommandIdReused, NotFound, Rejected, Unavailable, VersionConflict
from intent.model import BoundContext
from intent.process.assembly import CommandPath
from intent.settings.config import Settings
from intent.temporal import correlation_query, data_converter, names
from intent_contracts.intent.v1 import CommandBatch, CommandEnvelope, CommandStatus
from intent_contracts.orders.v1 import ChangeLine, ConfirmOrder
from temporalio.client import Client, WorkflowExecution, WorkflowFailureError
from temporalio.exceptions import ApplicationError

from ..support.command_path import Requests, Running, eventually, place
from ..support.databases import Database, administer, in_database


async def test_a_command_is_applied_projected_and_answered(path: CommandPath, request_of: Requests) -> None:
    result = await path.router.handle(request_of(place("o-1")))
    assert (result.context, result.aggregate_type, result.aggregate_id) == ("orders", "Order", "o-1")
    assert (result.version, result.position, result.projected, result.duplicate) == (1, 1, True, False)
    assert [event.type for event in result.events] == ["orders.v1.OrderPlaced"]


async def test_a_command_that_this_process_does_not_know_is_no_rejection(path: CommandPath) -> None:
    envelope = CommandEnvelope(type="orders.v1.OfALaterVersion", tenant_id="acme", command_id=str(uuid4()))
    with pytest.raises(ApplicationError, match=r"orders\.v1\.OfALaterVersion") as failed:
        await path.activities.route_command(envelope)
    assert not failed.value.non_retryable


async def test_200_callers_on_one_order_are_all_answered_with_contiguous_versions(
    path: CommandPath, request_of: Requests
) -> None:
    await path.router.handle(request_of(place("hot")))
    commands = [ChangeLine(order_id="hot", line_id="1", quantity=q) for q in range(2, 202)]
    results = await asyncio.gather(*(path.router.handle(request_of(command)) for command in commands))
    assert sorted(result.version for result in results) == list(range(2, 202))


async def test_the_same_id_100_times_at_once_and_after_a_restart_has_one_effect(
    running: Running, request_of: Requests
) -> None:
    request = request_of(place("o-1"))
    async with running() as path:
        results = await asyncio.gather(*(path.router.handle(request) for _ in range(100)))
        assert sum(not result.duplicate for result in results) == 1
    async with running() as path:
        again = await path.router.handle(request)
    assert again.duplicate
    for result in results:
        assert (result.version, result.position, result.events) == (1, 1, again.events)


async def test_commands_of_a_batch_keep_their_own_outcomes(path: CommandPath, request_of: Requests) -> None:
    twice = uuid4()
    outcomes = await asyncio.gather(
        path.router.handle(request_of(place("a"))),
        path.router.handle(request_of(ConfirmOrder(order_id="missing"))),
        path.router.handle(request_of(place("b"), tenant="other", command_id=twice)),
        path.router.handle(request_of(place("c"), expected=3)),
        path.router.handle(request_of(place("d"), command_id=twice)),
        path.router.handle(request_of(place("e"), command_id=twice)),
        return_exceptions=True,
    )
    assert [type(outcome).__name__ for outcome in outcomes] == [
        "CommandResult",
        "AggregateNotFound" if isinstance(outcomes[1], Rejected) else type(outcomes[1]).__name__,
        "CommandResult",
        "VersionConflict",
        "CommandResult",
        "CommandIdReused" if isinstance(outcomes[5], CommandIdReused) else type(outcomes[5]).__name__,
    ]
    assert isinstance(outcomes[1], NotFound)
    assert isinstance(outcomes[3], VersionConflict)


async def test_a_caller_that_leaves_does_not_undo_its_command(
    path: CommandPath, request_of: Requests
) -> None:
    request = request_of(place("o-1"))
    call = asyncio.create_task(path.router.handle(request))
    await _taken(path)
    call.cancel()
    result = await path.router.handle(request)
    assert result.version == 1


async def _taken(path: CommandPath) -> None:
    """Let the event loop run until the router has accepted a command."""
    while not path.router.in_flight:  # noqa: ASYNC110 - it looks at the very next turn
        await asyncio.sleep(0)


async def test_a_submitted_command_is_found_by_its_handle_before_and_after_it_is_done(
    path: CommandPath, request_of: Requests
) -> None:
    request = request_of(place("o-1"))
    submitted = await path.router.submit(request)
    assert submitted.handle.startswith("orders/commands/")

    async def applied() -> bool:
        report = await path.router.outcome("acme", submitted.command_id, submitted.handle)
        return report.status == CommandStatus.COMMAND_STATUS_APPLIED

    await eventually(applied)
    report = await path.router.outcome("acme", submitted.command_id)
    assert report.outcome is not None
    assert report.outcome.result.version == 1
    with pytest.raises(NotFound):
        await path.router.outcome("other", submitted.command_id, submitted.handle)


async def test_an_outcome_that_the_store_does_not_keep_is_found_by_the_handle(
    path: CommandPath, request_of: Requests
) -> None:
    submitted = await path.router.submit(request_of(place("o-1"), expected=5))

    async def failed() -> bool:
        report = await path.router.outcome("acme", submitted.command_id, submitted.handle)
        return report.status == CommandStatus.COMMAND_STATUS_FAILED

    await eventually(failed)


async def test_workflows_are_found_by_correlation_and_tenant(
    path: CommandPath, request_of: Requests, temporal: TemporalServer
) -> None:
    correlation = uuid4().hex
    await path.router.handle(request_of(place("o-1"), correlation=correlation))
    client = await Client.connect(temporal.address, data_converter=data_converter)
    listed: list[WorkflowExecution] = []

    async def visible() -> bool:
        listed[:] = [w async for w in client.list_workflows(correlation_query(correlation))]
        return bool(listed)

    await eventually(visible)
    by_tenant = f"IntentTenants = 'acme' AND IntentContext = 'orders' AND WorkflowId = '{listed[0].id}'"
    assert [w.id async for w in client.list_workflows(by_tenant)] == [listed[0].id]
    description = await client.get_workflow_handle(listed[0].id).describe()
    assert await description.static_summary() == "1 PlaceOrder (acme)"


async def test_a_process_that_shuts_down_says_so_and_finishes_what_it_accepted(
    path: CommandPath, request_of: Requests
) -> None:
    call = asyncio.create_task(path.router.handle(request_of(place("o-1"))))
    await _taken(path)
    path.router.close()
    with pytest.raises(Unavailable):
        await path.router.handle(request_of(place("o-2")))
    assert await path.router.drain(20)
    assert (await call).version == 1


async def test_two_processes_of_one_context_share_one_order_without_a_lost_update(
    running: Running, request_of: Requests, bound: BoundContext, settings: Settings
) -> None:
    async with running() as one, running() as two:
        await one.router.handle(request_of(place("o-1")))
        changes = [ChangeLine(order_id="o-1", line_id="1", quantity=q) for q in range(2, 62)]
        results = await asyncio.gather(
            *(
                (one if number % 2 else two).router.handle(request_of(change))
                for number, change in enumerate(changes)
            )
        )
    assert sorted(result.version for result in results) == list(range(2, 62))


@asynccontextmanager
async def stopped_writes(database: Database) -> AsyncIterator[None]:
    """Let the database refuse to write for the duration of the context."""
    name = urlsplit(database.admin).path.removeprefix("/")
    beside = in_database(database.admin, "postgres")
    end_connections = f"select pg_terminate_backend(pid) from pg_stat_activity where datname = '{name}'"
    await administer(beside, f'alter database "{name}" set default_transaction_read_only = on')
    await administer(beside, end_connections)
    try:
        yield
    finally:
        await administer(beside, f'alter database "{name}" reset default_transaction_read_only')
        await administer(beside, end_connections)


async def test_a_read_only_database_delays_what_was_accepted_and_loses_nothing(
    running: Running, request_of: Requests, database: Database
) -> None:
    submitted, asked = request_of(place("o-1")), request_of(place("o-2"))
    async with running() as path:
        async with stopped_writes(database):
            accepted = await path.router.submit(submitted)
            handled = asyncio.create_task(path.router.handle(asked))
            done, _ = await asyncio.wait([handled], timeout=2)
            assert not done, "a server that refuses writes says nothing about the command"
        assert accepted.command_id == submitted.origin.command_id
        assert not (await handled).duplicate

        async def applied() -> bool:
            report = await path.router.outcome(submitted.origin.tenant, submitted.origin.command_id)
            return report.status == CommandStatus.COMMAND_STATUS_APPLIED

        await eventually(applied)


async def test_a_batch_on_the_queue_of_another_context_ends_with_the_reason(
    path: CommandPath, temporal: TemporalServer
) -> None:
    client = await Client.connect(temporal.address, data_converter=data_converter)
    with pytest.raises(WorkflowFailureError) as failed:
        await client.execute_workflow(
            names.PROCESS_COMMANDS,
            CommandBatch(context="payments"),
            id=f"misdirected-{uuid4()}",
            task_queue=names.command_queue("orders"),
            execution_timeout=timedelta(seconds=20),
        )
    assert "serves orders, not payments" in str(failed.value.cause)


async def test_a_command_whose_batch_was_terminated_is_reported_as_ended_from_outside(
    running: Running, request_of: Requests, settings: Settings, temporal: TemporalServer, database: Database
) -> None:
    request = request_of(place("o-1"))
    client = await Client.connect(temporal.address, data_converter=data_converter)
    async with AsyncExitStack() as unwritable, running() as path:
        await unwritable.enter_async_context(stopped_writes(database))
        submitted = await path.router.submit(request)
        await client.get_workflow_handle(submitted.handle).terminate("by hand")
    async with running() as other:
        report = await other.router.outcome("acme", submitted.command_id, submitted.handle)
        assert report.status == CommandStatus.COMMAND_STATUS_FAILED
        assert report.outcome is not None
        assert report.outcome.failure.reason == "BATCH_ENDED"
        assert "ended from outside" in report.outcome.failure.message
        assert (await other.router.handle(request)).version == 1
