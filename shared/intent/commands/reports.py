"""The outcomes of commands: from the store, or from the workflow that carries them."""

from __future__ import annotations

from intent_contracts.intent.v1 import BatchHandled, CommandOutcome, CommandStatus
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowFailureError
from temporalio.service import RPCError, RPCStatusCode

from intent.commands import outcomes
from intent.commands.requests import CommandReport
from intent.errors import CommandError, Unavailable
from intent.records import CommandKey
from intent.store.event_store import EventStore
from intent.temporal import names
from intent.temporal.attributes import TENANTS
from intent.temporal.signing import PayloadRefused

__all__ = ["CommandReports"]

_PENDING = CommandReport(CommandStatus.COMMAND_STATUS_PENDING)


class CommandReports:
    """The reports about one context's commands.

    Args:
        context: The context.
        client: The Temporal client.
        store: The context's event store.
    """

    def __init__(self, context: str, client: Client, store: EventStore) -> None:
        self._context = context
        self._client = client
        self._store = store

    async def report(self, key: CommandKey, handle: str, *, in_flight: bool) -> CommandReport:
        """Return the status of a command, and its outcome once finished.

        Args:
            key: The command.
            handle: The handle that `submit` returned, or empty.
            in_flight: True when it is under way in this process.

        Raises:
            NotFound: The command is unknown, or its handle belongs to another context.
        """
        stored = await self._store.command(key)
        if stored is not None:
            return _finished(outcomes.restored(stored, self._store.epochs.current))
        if in_flight:
            return _PENDING
        if handle.startswith(names.batch_workflow_prefix(self._context)):
            return await self._carried(key, handle)
        raise outcomes.unknown(key.command_id)

    async def _carried(self, key: CommandKey, handle: str) -> CommandReport:
        workflow = self._client.get_workflow_handle(handle, result_type=BatchHandled)
        try:
            description = await workflow.describe()
            # Long lists of tenants are cut to prefixes: see `intent.temporal.attributes`.
            tenants = description.typed_search_attributes.get(TENANTS) or ()
            if not any(key.tenant.startswith(tenant) for tenant in tenants):
                raise outcomes.unknown(key.command_id)
            if description.status == WorkflowExecutionStatus.RUNNING:
                return _PENDING
            handled = await workflow.result()
        except WorkflowFailureError as error:
            return await self._ended(key, outcomes.ended(handle, error.cause))
        except PayloadRefused as error:
            return await self._ended(key, outcomes.ended(handle, error))
        except RPCError as error:
            if error.status in (RPCStatusCode.NOT_FOUND, RPCStatusCode.INVALID_ARGUMENT):
                raise outcomes.unknown(key.command_id) from error
            raise Unavailable(
                "TEMPORAL_UNAVAILABLE", f"Temporal is unavailable: {error.message}", retry_after_ms=1000
            ) from error
        return await self._closed(key, handled)

    async def _closed(self, key: CommandKey, handled: BatchHandled) -> CommandReport:
        for outcome in handled.outcomes:
            if (outcome.tenant_id, outcome.command_id) == (key.tenant, str(key.command_id)):
                if outcome.continued_in:
                    return await self._carried(key, outcome.continued_in)
                return _finished(outcome)
        stored = await self._store.command(key)
        if stored is None:
            raise outcomes.unknown(key.command_id)
        return _finished(outcomes.restored(stored, self._store.epochs.current))

    async def _ended(self, key: CommandKey, error: CommandError) -> CommandReport:
        """Report a command whose batch ended early: as recorded in the meantime, or else with the error."""
        stored = await self._store.command(key)
        if stored is not None:
            return _finished(outcomes.restored(stored, self._store.epochs.current))
        return _finished(outcomes.failed(key.tenant, str(key.command_id), error))


def _finished(outcome: CommandOutcome) -> CommandReport:
    applied = outcome.HasField("result")
    status = CommandStatus.COMMAND_STATUS_APPLIED if applied else CommandStatus.COMMAND_STATUS_FAILED
    return CommandReport(status, outcome)
