"""Every exception of the platform, and how failures travel.

IntentError
├── ConfigurationError          settings or arguments that cannot work
│   └── ServerUnavailable       PostgreSQL or Temporal does not answer, or not yet
├── ContractError               contracts or context contradict each other; lists every problem
├── StoreError                  the event store
│   ├── SnapshotUnusable        a snapshot of a state version that nothing upcasts
│   └── StoreUnavailable        temporarily unavailable; a retry is harmless
│       └── NewerReleaseNeeded  only a process of a newer release can read what is stored
├── SagaFailure                 a step of a saga failed; uncaught, the saga is undone
│   ├── StepRejected            its command was rejected
│   ├── StepTimedOut            its event did not come in time
│   ├── Interrupted             an event came that ends what was under way
│   ├── NeighbourFailed         another branch of the same parallel step failed
│   ├── ChildFailed             a child saga was undone
│   ├── SagaCancelled           an operator cancelled the saga
│   └── SagaGaveUp              the saga failed by its own decision
└── CommandError                an answer to a caller: there was no effect
    ├── InvalidCommand          the message breaks its contract
    │   └── CommandIdReused     the id belongs to another command
    ├── UnknownType             there is no such contract
    ├── Rejected                a business rule rejected it, with a stable reason
    ├── NotFound                there is no such thing
    │   └── AggregateNotFound   a command addressed an aggregate that does not exist
    ├── VersionConflict         the aggregate is not at the expected version
    ├── PermissionDenied        the caller lacks the role or the tenant
    │   └── NotTheOwner         it may act only on what is its own
    ├── Unauthenticated         the caller is unknown
    ├── Overloaded              too much at once; try later
    ├── Unavailable             something needed is unavailable; nothing is lost
    ├── DeadlineExceeded        the caller's time is over; an accepted command continues
    └── HandlerFailed           a defect in a handler or in the platform
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from google.protobuf.message import Message
from intent_contracts.intent.v1 import Failure, FailureKind, FieldViolation

__all__ = [
    "AggregateNotFound",
    "ChildFailed",
    "CommandError",
    "CommandIdReused",
    "ConfigurationError",
    "ContractError",
    "DeadlineExceeded",
    "HandlerFailed",
    "IntentError",
    "Interrupted",
    "InvalidCommand",
    "NeighbourFailed",
    "NewerReleaseNeeded",
    "NotFound",
    "NotTheOwner",
    "Overloaded",
    "PermissionDenied",
    "Rejected",
    "SagaCancelled",
    "SagaFailure",
    "SagaGaveUp",
    "ServerUnavailable",
    "SnapshotUnusable",
    "StateChanged",
    "StepRejected",
    "StepTimedOut",
    "StoreError",
    "StoreUnavailable",
    "Unauthenticated",
    "Unavailable",
    "UnknownType",
    "VersionConflict",
    "Violation",
    "error_of",
    "failure_of",
]


class IntentError(Exception):
    """The root of all exceptions that Intent raises on purpose."""


class ConfigurationError(IntentError):
    """Settings or arguments that cannot work; the message says what to correct."""


class ServerUnavailable(ConfigurationError):
    """A server that the process needs does not answer, or not yet: its address is wrong, or it will."""


class ContractError(IntentError):
    """Contracts, or a context and its contracts, contradict each other.

    Attributes:
        problems: One sentence per contradiction: file, message and fix.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        many = "1 contradiction" if len(self.problems) == 1 else f"{len(self.problems)} contradictions"
        super().__init__("\n".join([f"{many} in the contracts:", *(f"  - {p}" for p in self.problems)]))


class StoreError(IntentError):
    """The event store refused a call or failed."""


class SnapshotUnusable(StoreError):
    """A snapshot holds a state version that nothing upcasts: rebuild from all events."""


class StoreUnavailable(StoreError):
    """The event store is temporarily unavailable; repeating the call is harmless."""


class NewerReleaseNeeded(StoreUnavailable):
    """A newer release has recorded what this one cannot read: a process of that release must do the work."""


class SagaFailure(IntentError):
    """A step of a saga failed.

    A saga may catch it and continue in another way. Uncaught, it makes the saga's compensations run.

    Attributes:
        reason: Stable, in upper snake case.
        message: A sentence for a person.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(reason, message)
        self.reason = reason
        self.message = message

    def __str__(self) -> str:
        return f"{self.reason}: {self.message}"


class StepRejected(SagaFailure):
    """The command of a step was rejected; `reason` is the rejection's.

    Attributes:
        metadata: The rejection's further facts.
    """

    def __init__(self, reason: str, message: str, metadata: Mapping[str, str] | None = None) -> None:
        super().__init__(reason, message)
        self.metadata = dict(metadata or {})


class StepTimedOut(SagaFailure):
    """The event that a step waited for did not come in time."""


class Interrupted(SagaFailure):
    """An event came that ends what was under way.

    Attributes:
        event: The event.
    """

    def __init__(self, event: Message) -> None:
        name = event.DESCRIPTOR.full_name
        super().__init__("INTERRUPTED", f"{name} came")
        self.event = event


class NeighbourFailed(SagaFailure):
    """Another branch of the same parallel step failed, so this one was ended early."""


class ChildFailed(SagaFailure):
    """A child saga failed and was undone; `reason` is the child's."""


class SagaCancelled(SagaFailure):
    """An operator cancelled the saga; `message` is why."""


class SagaGaveUp(SagaFailure):
    """The saga failed by its own decision."""


@dataclass(frozen=True, slots=True)
class Violation:
    """What is wrong with one field of a message.

    Attributes:
        field: The field's path, e.g. ``lines[2].quantity``.
        description: What the field must be.
        rule: The rule's id, e.g. ``int32.gte``.
    """

    field: str
    description: str
    rule: str = ""


class CommandError(IntentError):
    """An answer to a caller which says that there was no effect.

    Attributes:
        reason: Stable, in upper snake case.
        message: A sentence for a person.
        metadata: Further facts, as strings.
        violations: For INVALID, the fields that are wrong.
        retry_after_ms: When to try again, in milliseconds; 0 when that is not known.
        duplicate: True when an earlier call with the command id got this answer.
    """

    kind: ClassVar[FailureKind.ValueType] = FailureKind.FAILURE_KIND_INTERNAL

    def __init__(
        self,
        reason: str,
        message: str,
        *,
        metadata: Mapping[str, str] | None = None,
        violations: Sequence[Violation] = (),
        retry_after_ms: int = 0,
        duplicate: bool = False,
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.metadata = dict(metadata or {})
        self.violations = tuple(violations)
        self.retry_after_ms = retry_after_ms
        self.duplicate = duplicate

    def __str__(self) -> str:
        fields = "; ".join(f"{v.field}: {v.description}" for v in self.violations)
        return f"{self.reason}: {self.message}" + (f" ({fields})" if fields else "")


class InvalidCommand(CommandError):
    """The message breaks its contract."""

    kind = FailureKind.FAILURE_KIND_INVALID


class CommandIdReused(InvalidCommand):
    """The command id belongs to a command with other contents."""


class UnknownType(CommandError):
    """There is no such contract."""

    kind = FailureKind.FAILURE_KIND_UNKNOWN_TYPE


class Rejected(CommandError):
    """A business rule rejected the command.

    Its `reason` is equal to a constant of the context's contracts, e.g. to
    ``intent_contracts.orders.v1.Reason.ORDER_NOT_OPEN``.
    """

    kind = FailureKind.FAILURE_KIND_REJECTED


class NotFound(CommandError):
    """There is no such thing."""

    kind = FailureKind.FAILURE_KIND_NOT_FOUND


class AggregateNotFound(NotFound):
    """The command addresses an aggregate that does not exist."""


class VersionConflict(CommandError):
    """The aggregate is not at the version that the caller expects."""

    kind = FailureKind.FAILURE_KIND_CONFLICT


class PermissionDenied(CommandError):
    """The caller lacks the role or the tenant."""

    kind = FailureKind.FAILURE_KIND_PERMISSION_DENIED


class NotTheOwner(PermissionDenied):
    """With its roles the caller may act only on what is its own, and this is not, or does not exist."""


class Unauthenticated(CommandError):
    """The caller is unknown."""

    kind = FailureKind.FAILURE_KIND_UNAUTHENTICATED


class Overloaded(CommandError):
    """Too much at once; `retry_after_ms` says when to try again."""

    kind = FailureKind.FAILURE_KIND_EXHAUSTED


class Unavailable(CommandError):
    """Temporal, PostgreSQL or the service is unavailable; nothing is lost: retry with the same id."""

    kind = FailureKind.FAILURE_KIND_UNAVAILABLE


class DeadlineExceeded(CommandError):
    """The caller's time is over; an accepted command continues, and its id gives the result."""

    kind = FailureKind.FAILURE_KIND_DEADLINE


class HandlerFailed(CommandError):
    """A handler raised something that is no rejection: a defect."""

    kind = FailureKind.FAILURE_KIND_INTERNAL


class StateChanged(HandlerFailed):
    """A handler changed what only events may change, or what it was only given to read."""


_BY_KIND: dict[int, type[CommandError]] = {
    cls.kind: cls
    for cls in (
        InvalidCommand,
        UnknownType,
        Rejected,
        NotFound,
        VersionConflict,
        PermissionDenied,
        Unauthenticated,
        Overloaded,
        Unavailable,
        DeadlineExceeded,
        HandlerFailed,
    )
}


def failure_of(error: CommandError) -> Failure:
    """Return an error as the message that calls return."""
    return Failure(
        kind=error.kind,
        reason=error.reason,
        message=error.message,
        metadata=error.metadata,
        violations=[
            FieldViolation(field=v.field, description=v.description, rule=v.rule) for v in error.violations
        ],
        retry_after_ms=error.retry_after_ms,
        duplicate=error.duplicate,
    )


def error_of(failure: Failure) -> CommandError:
    """Return the exception that a failure stands for; an unknown kind is a defect."""
    cls = _BY_KIND.get(failure.kind, HandlerFailed)
    return cls(
        failure.reason,
        failure.message,
        metadata=dict(failure.metadata),
        violations=[Violation(v.field, v.description, v.rule) for v in failure.violations],
        retry_after_ms=failure.retry_after_ms,
        duplicate=failure.duplicate,
    )
