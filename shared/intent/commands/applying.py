"""Appending events that a workflow decided itself, with the guarantees of a command."""

from __future__ import annotations

from intent_contracts.intent.v1 import ApplyRequest, CommandOutcome

from intent.commands import outcomes
from intent.commands.requests import origin_of, stream_of
from intent.contracts import parse, require_recordable, require_saga_ids
from intent.errors import CommandError, InvalidCommand, VersionConflict
from intent.model import BoundContext, DecidedEvent
from intent.store.event_store import Appended, CommandWrite, EventStore, StreamAppend

__all__ = ["apply_decided"]


async def apply_decided(context: BoundContext, store: EventStore, request: ApplyRequest) -> CommandOutcome:
    """Append the events of a request, once per command id.

    Raises:
        StoreUnavailable: The store is unavailable; repeating is harmless.
    """
    command = request.command
    try:
        return await _apply(context, store, request)
    except CommandError as error:
        return outcomes.failed(command.tenant_id, command.command_id, error)


async def _apply(context: BoundContext, store: EventStore, request: ApplyRequest) -> CommandOutcome:
    command = request.command
    origin = origin_of(command)
    key = stream_of(context, request, origin.tenant, request.aggregate_type, request.aggregate_id)
    if request.expected_version < 0:
        raise InvalidCommand("CONTRACT_VIOLATED", "expected_version must be a whole number from 0 up")
    events = outcomes.event_writes(_checked(context, request))
    version = request.expected_version + len(events)
    outcome = outcomes.applied(context.name, key, command.command_id, version, events)
    digest = outcomes.fingerprint("ApplyRequest", _contents(request))
    write = CommandWrite(
        origin=origin,
        fingerprint=digest,
        outcome=outcome.SerializeToString(),
        events=events,
    )
    epoch = store.epochs.current
    append = StreamAppend(key, request.expected_version, [write], epoch=epoch)
    result = await store.append([append])
    appended = result.outcomes[0]
    if isinstance(appended, Appended):
        return outcomes.with_position(outcome, appended.positions[0], epoch)
    stored = appended.duplicates.get(write.origin.command_id)
    if stored is None:
        raise VersionConflict(
            "VERSION_CONFLICT",
            f"{key} is at version {appended.version}, not {request.expected_version}",
            metadata={"actual_version": str(appended.version)},
        )
    if stored.fingerprint != digest:
        raise outcomes.id_reused(command.command_id)
    return outcomes.as_duplicate(outcomes.restored(stored, epoch))


def _checked(context: BoundContext, request: ApplyRequest) -> list[DecidedEvent]:
    """Return the events, having checked that the aggregate records each of them."""
    decided = []
    for event in request.events:
        contract = context.registry.event(event.type)
        if (contract.context, contract.aggregate) != (context.name, request.aggregate_type):
            raise InvalidCommand(
                "EVENT_OF_ANOTHER_AGGREGATE",
                f"{event.type} is recorded by {contract.context}.{contract.aggregate}, "
                f"not by {context.name}.{request.aggregate_type}",
            )
        message = parse(contract.message, event.data)
        listeners = context.registry.listeners(event.type)
        require_saga_ids(listeners, message, request.command.tenant_id, request.aggregate_id)
        decided.append(DecidedEvent(event.type, contract.version, event.data))
    require_recordable(len(decided), sum(len(event.data) for event in decided))
    return decided


def _contents(request: ApplyRequest) -> bytes:
    contents = ApplyRequest()
    contents.CopyFrom(request)
    contents.ClearField("command")
    return contents.SerializeToString(deterministic=True)
