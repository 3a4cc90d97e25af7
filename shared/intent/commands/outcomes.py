"""Outcomes of commands: created, stored without positions, and restored."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from typing import Final
from uuid import UUID, uuid4

from intent_contracts.intent.v1 import CommandOutcome, CommandResult, EventRef, Failure

from intent.errors import (
    CommandError,
    CommandIdReused,
    HandlerFailed,
    NotFound,
    Unavailable,
    VersionConflict,
    failure_of,
)
from intent.ids import new_id
from intent.model import DecidedEvent
from intent.records import StreamKey
from intent.store.event_store import EventWrite, StoredCommand

__all__ = [
    "applied",
    "as_duplicate",
    "continued",
    "defect",
    "ended",
    "event_writes",
    "failed",
    "fingerprint",
    "fitting",
    "id_reused",
    "platform_failure",
    "positions",
    "restored",
    "still_waiting",
    "under_way",
    "unexpected_version",
    "unknown",
    "with_position",
]


_FAILURE_BYTES: Final = 32 * 1024
_REASON_LENGTH: Final = 200
_MESSAGE_LENGTH: Final = 4000
_BRIEF_LENGTH: Final = 200
_FRAME_BYTES: Final = 8


def fingerprint(type_name: str, data: bytes) -> bytes:
    """Return a digest that distinguishes a repeated command from another with the same id."""
    return hashlib.blake2b(data, digest_size=16, key=type_name.encode()[:64]).digest()


def event_writes(decided: Sequence[DecidedEvent]) -> list[EventWrite]:
    """Return decided events with new ids, ready to append."""
    return [EventWrite(new_id(), event.type, event.schema_version, event.data) for event in decided]


def applied(
    context: str, key: StreamKey, command_id: str, version: int, events: Sequence[EventWrite]
) -> CommandOutcome:
    """Return the outcome of a command after which its aggregate is at `version`.

    Positions are not known before the append; `with_position` sets them.
    """
    first = version - len(events) + 1
    return CommandOutcome(
        command_id=command_id,
        tenant_id=key.tenant,
        result=CommandResult(
            command_id=command_id,
            context=context,
            aggregate_type=key.aggregate_type,
            aggregate_id=key.aggregate_id,
            version=version,
            events=[
                EventRef(event_id=str(event.event_id), type=event.type, version=first + index)
                for index, event in enumerate(events)
            ],
        ),
    )


def failed(tenant: str, command_id: str, error: CommandError) -> CommandOutcome:
    """Return the outcome of a command that had no effect."""
    failure = failure_of(error)
    if failure.ByteSize() > _FAILURE_BYTES:
        _shorten(failure)
    return CommandOutcome(command_id=command_id, tenant_id=tenant, failure=failure)


def continued(tenant: str, command_id: str, workflow_id: str) -> CommandOutcome:
    """Return what stands for the outcome of a command that another workflow handles."""
    return CommandOutcome(tenant_id=tenant, command_id=command_id, continued_in=workflow_id)


def fitting(outcomes: Sequence[CommandOutcome], limit: int) -> list[CommandOutcome]:
    """Return as many outcomes as fit into a result of so many bytes, with short failures if need be.

    A command whose outcome is left out is answered when it is sent again with its id.
    """
    if sum(outcome.ByteSize() for outcome in outcomes) <= limit:
        return list(outcomes)
    kept = []
    for outcome in outcomes:
        if outcome.HasField("failure"):
            failure = outcome.failure
            brief = Failure(kind=failure.kind, reason=failure.reason, message=failure.message[:_BRIEF_LENGTH])
            outcome = CommandOutcome(
                command_id=outcome.command_id, tenant_id=outcome.tenant_id, failure=brief
            )
        limit -= outcome.ByteSize() + _FRAME_BYTES
        if limit >= 0:
            kept.append(outcome)
    return kept


def _shorten(failure: Failure) -> None:
    """Cut a failure down: handlers may put as much as they like into it, but batches travel in results."""
    failure.reason = failure.reason[:_REASON_LENGTH]
    failure.message = failure.message[:_MESSAGE_LENGTH]
    while failure.violations and failure.ByteSize() > _FAILURE_BYTES:
        del failure.violations[-1]
    if failure.ByteSize() > _FAILURE_BYTES:
        failure.metadata.clear()


def with_position(outcome: CommandOutcome, position: int, epoch: str) -> CommandOutcome:
    """Set the positions of a result whose last event has `position` in an epoch, and return the outcome."""
    if outcome.HasField("result"):
        result = outcome.result
        result.position, result.epoch = position, epoch
        first = position - len(result.events) + 1
        for index, event in enumerate(result.events):
            event.position = first + index
    return outcome


def positions(outcomes: Sequence[CommandOutcome], types: Collection[str]) -> list[int]:
    """Return the positions of recorded events of these types.

    The events of duplicates are included: the run that recorded them may have been cut short before
    it routed them, and sagas drop events that they have seen.
    """
    if not types:
        return []
    return [event.position for outcome in outcomes for event in outcome.result.events if event.type in types]


def restored(stored: StoredCommand, epoch: str) -> CommandOutcome:
    """Return the outcome that the store has kept, as of an epoch."""
    return with_position(CommandOutcome.FromString(stored.outcome), stored.position, epoch)


def as_duplicate(outcome: CommandOutcome) -> CommandOutcome:
    """Return a copy that is marked as the answer to an earlier call."""
    copy = CommandOutcome()
    copy.CopyFrom(outcome)
    if copy.HasField("result"):
        copy.result.duplicate = True
    elif copy.HasField("failure"):
        copy.failure.duplicate = True
    return copy


def id_reused(command_id: str | UUID, recorded: bytes = b"") -> CommandIdReused:
    """Return the error for a command id that belongs to a command with other contents.

    Args:
        command_id: The id.
        recorded: The recorded outcome of that command; empty when it is not known.
    """
    rejected = bool(recorded) and CommandOutcome.FromString(recorded).HasField("failure")
    return CommandIdReused(
        "COMMAND_ID_REUSED",
        f"command id {command_id} was used for a command with other contents; use a new id",
        metadata={"command_id": str(command_id), **({"recorded": "rejection"} if rejected else {})},
    )


def under_way(command_id: str | UUID) -> Unavailable:
    """Return the error for a command that is under way for a sender with other rights."""
    return Unavailable(
        "COMMAND_UNDER_WAY",
        f"command {command_id} is under way for a sender with other roles; ask again with the same command "
        "id once it is decided",
        metadata={"command_id": str(command_id)},
        retry_after_ms=200,
    )


def defect(why: str = "") -> HandlerFailed:
    """Return the error for a handler that failed, without showing its internals to the caller.

    Args:
        why: What the caller may know of it, in a few words.
    """
    error_id = uuid4().hex
    because = f": {why}" if why else ""
    return HandlerFailed(
        "INTERNAL",
        f"the command could not be handled because of a defect{because}; it is in the log as {error_id}",
        metadata={"error_id": error_id},
    )


def platform_failure() -> Unavailable:
    """Return the error for a command at which the platform fails, and which no workflow carries."""
    error_id = uuid4().hex
    return Unavailable(
        "PLATFORM_DEFECT",
        f"the platform failed to handle the command; it is in the log as {error_id}; "
        "nothing was recorded, ask again with the same command id",
        metadata={"error_id": error_id},
        retry_after_ms=5000,
    )


def still_waiting(*, accepted: bool) -> Unavailable:
    """Return the error for a caller that has waited for long enough."""
    state = "accepted and continues" if accepted else "not accepted yet"
    return Unavailable(
        "STILL_WAITING",
        f"the command is {state}; something that it needs is unavailable; ask again with the same command id",
        metadata={"accepted": "true" if accepted else "false"},
        retry_after_ms=1000,
    )


def ended(workflow_id: str, cause: object) -> Unavailable:
    """Return the error for a command whose batch ended before its outcome was known.

    What was under way then may still be recorded: sending the command again gives its outcome either way.
    """
    return Unavailable(
        "BATCH_ENDED",
        f"the workflow {workflow_id} that carried the command was ended from outside ({cause}); "
        "send it again with the same command id",
        retry_after_ms=1000,
    )


def unknown(command_id: UUID) -> NotFound:
    """Return the error for a command that is not known, or not to the caller."""
    return NotFound(
        "COMMAND_NOT_FOUND",
        f"command {command_id} is not known here; a command under way is found by its handle only",
        metadata={"command_id": str(command_id)},
    )


def unexpected_version(key: StreamKey, expected: int, actual: int) -> VersionConflict:
    """Return the error for an aggregate that is at another version than its caller expects.

    Whoever expects it not to exist learns only that it does: it may be somebody else's.
    """
    metadata = {"expected_version": str(expected)}
    if not expected:
        found = "exists already"
    else:
        found = f"is at version {actual}, not {expected}"
        metadata["actual_version"] = str(actual)
    return VersionConflict(
        "VERSION_CONFLICT",
        f"{key.aggregate_type} {key.aggregate_id} {found}; read it again and decide again",
        metadata=metadata,
    )
