"""Given, when, then: tests of aggregates that read as a specification."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any

from google.protobuf.message import Message

from intent.contracts import Problems, Registry, validate
from intent.contracts.differences import difference, shown
from intent.errors import (
    CommandError,
    ContractError,
    InvalidCommand,
    NotFound,
    PermissionDenied,
    Rejected,
    StateChanged,
)
from intent.model import (
    Aggregate,
    AggregateType,
    CommandMetadata,
    DecidedEvent,
    Upcaster,
    Upcasters,
)
from intent.model.binding.aggregates import bind_aggregate
from intent.records import StoredEvent
from intent.testing.access import require_owner, require_role
from intent.testing.declared import assert_declared
from intent.testing.history import COMMAND_ID, RECEIVED_AT, Stored, installed, stored_events

__all__ = ["Outcome", "Scenario", "given"]


def given(
    aggregate: type[Aggregate[Any]],
    id: str,  # noqa: A002
    *events: Message | Stored,
    tenant: str = "acme",
    upcasters: Iterable[Upcaster[Any, Any]] = (),
    registry: Registry | None = None,
) -> Scenario:
    """Start a scenario with what happened before.

    Example::

        confirm = ConfirmOrder(order_id="o-1")
        given(Order, "o-1", placed).when(confirm).then(OrderConfirmed(total=placed.total))

    Args:
        aggregate: The aggregate class.
        id: The aggregate's id.
        events: What happened before, in order; none for an aggregate that does not exist.
        tenant: The tenant that it belongs to.
        upcasters: The upcasters of its context, for events from `stored`.
        registry: The contracts; by default all installed ones.

    Raises:
        ContractError: The class does not fit its contracts.
    """
    contracts = registry or installed()
    kind = _bound(aggregate, contracts, tuple(upcasters))
    return Scenario(contracts, kind, tenant, id, stored_events(contracts, events))


class Scenario:
    """What happened before; made by `given`."""

    def __init__(
        self,
        registry: Registry,
        kind: AggregateType,
        tenant: str,
        id: str,  # noqa: A002
        events: list[StoredEvent],
    ) -> None:
        self._registry = registry
        self._kind = kind
        self._tenant = tenant
        self._id = id
        self._events = events

    def when(
        self,
        command: Message,
        *,
        actor: str = "user:test",
        roles: Collection[str] | None = None,
        received_at: datetime = RECEIVED_AT,
    ) -> Outcome:
        """Run a command, after checking it against its contract as the platform does.

        Args:
            command: The command.
            actor: Who sends it.
            roles: The sender's roles, to check whether it may send the command, and for whose aggregate;
                None: that is not checked.
            received_at: When the platform received it, with time zone.

        Raises:
            AssertionError: The handler changed the state itself, or rejected the command for a reason
                that its contract does not declare.
        """
        __tracebackhide__ = True
        metadata = CommandMetadata(self._tenant, COMMAND_ID, actor, "test", received_at)
        aggregate = self._restored(self._events)
        try:
            self._check(command, aggregate, actor, roles)
            decided = self._kind.decide(aggregate, command, metadata)
        except StateChanged as error:
            raise AssertionError(error.message) from None
        except CommandError as error:
            self._assert_declared(command, error)
            return Outcome(self, aggregate, [], error)
        after = Scenario(self._registry, self._kind, self._tenant, self._id, self._with(decided))
        _assert_same(
            after._restored(after._events).state.SerializeToString(deterministic=True),
            aggregate,
            "the state is not what its events make; only appliers may change it, from their event alone",
        )
        return Outcome(after, aggregate, [self._message(event) for event in decided], None)

    def _check(
        self, command: Message, aggregate: Aggregate[Any], actor: str, roles: Collection[str] | None
    ) -> None:
        contract = self._registry.command(command.DESCRIPTOR.full_name)
        if roles is not None:
            require_role(contract, actor, roles)
        validate(command)
        if roles is not None:
            require_owner(contract, command, aggregate.state, actor, roles)

    def _assert_declared(self, command: Message, error: CommandError) -> None:
        __tracebackhide__ = True
        if isinstance(error, Rejected | NotFound):
            contract = self._registry.command(command.DESCRIPTOR.full_name)
            assert_declared(contract, error.reason, f"{self._kind.name} rejects")

    def _restored(self, events: Iterable[StoredEvent]) -> Aggregate[Any]:
        return self._kind.restore(self._tenant, self._id, snapshot=None, events=events)

    def _with(self, decided: Iterable[DecidedEvent]) -> list[StoredEvent]:
        first = len(self._events) + 1
        return self._events + [StoredEvent(version, *event) for version, event in enumerate(decided, first)]

    def _message(self, event: DecidedEvent) -> Message:
        return self._kind.event_class(event.type).FromString(event.data)


class Outcome:
    """The outcome of a command; made by `Scenario.when`. Its checks can be chained."""

    def __init__(
        self,
        scenario: Scenario,
        aggregate: Aggregate[Any],
        events: list[Message],
        error: CommandError | None,
    ) -> None:
        self._scenario = scenario
        self._aggregate = aggregate
        self._events = events
        self._error = error

    @property
    def events(self) -> Sequence[Message]:
        """The recorded events, for checks over many commands; `then` expects certain events."""
        return tuple(self._events)

    @property
    def reason(self) -> str:
        """The stable reason for which the command was refused; empty when it succeeded."""
        return self._error.reason if self._error is not None else ""

    def then(self, *events: Message) -> Outcome:
        """Expect exactly these events, in order.

        Raises:
            AssertionError: The expectation is not met; shows the differences.
        """
        __tracebackhide__ = True
        if self._error is not None:
            raise AssertionError(f"expected {shown(events)}\nbut it was refused: {self._error}")
        differs = difference(events, self._events)
        if differs:
            raise AssertionError(f"other events than expected (- expected, + recorded):\n{differs}")
        return self

    def then_nothing(self) -> Outcome:
        """Expect that the command succeeds and records nothing.

        Raises:
            AssertionError: The expectation is not met.
        """
        __tracebackhide__ = True
        return self.then()

    def then_accepted(self) -> Outcome:
        """Expect that the command succeeds, whatever it records.

        Raises:
            AssertionError: It is refused.
        """
        __tracebackhide__ = True
        if self._error is not None:
            raise AssertionError(f"expected success, but it was refused: {self._error}")
        return self

    def then_rejected(self, reason: str, **facts: str) -> Outcome:
        """Expect that a business rule rejects the command, or that there is no such aggregate.

        Args:
            reason: The stable reason.
            facts: Facts that the rejection must name, with their values.

        Raises:
            AssertionError: The expectation is not met.
        """
        __tracebackhide__ = True
        error = self._refused((Rejected, NotFound), f"a rejection {reason}")
        if error.reason != reason:
            raise AssertionError(f"expected a rejection {reason}, but it was {error}")
        named = {name: error.metadata.get(name) for name in facts}
        if named != facts:
            raise AssertionError(f"expected {reason} to name {facts}, but it names {error.metadata}")
        return self

    def then_denied(self, reason: str = "NOT_THE_OWNER") -> Outcome:
        """Expect that the sender may not send the command, with its roles or for this aggregate.

        Args:
            reason: ``NOT_THE_OWNER`` or ``ROLE_MISSING``.

        Raises:
            AssertionError: The expectation is not met.
        """
        __tracebackhide__ = True
        error = self._refused((PermissionDenied,), f"a denial {reason}")
        if error.reason != reason:
            raise AssertionError(f"expected a denial {reason}, but it was {error}")
        return self

    def then_invalid(self, *fields: str) -> Outcome:
        """Expect that the command breaks its contract, in exactly these fields when any are given.

        Args:
            fields: Paths such as ``lines[2].quantity``.

        Raises:
            AssertionError: The expectation is not met.
        """
        __tracebackhide__ = True
        error = self._refused((InvalidCommand,), "an invalid command")
        broken = sorted(violation.field for violation in error.violations)
        if fields and broken != sorted(fields):
            raise AssertionError(f"expected {sorted(fields)} to be invalid, but it was {error}")
        return self

    def then_state(self, state: Message | None = None, **fields: object) -> Outcome:
        """Expect the state after the command: as a whole, or only some of its fields.

        Args:
            state: The whole state.
            fields: Fields of the state, with their values.

        Raises:
            AssertionError: The expectation is not met; shows the differences.
        """
        __tracebackhide__ = True
        actual = self._aggregate.state
        expected = type(actual)()
        expected.CopyFrom(actual if state is None else state)
        for name in fields:
            expected.ClearField(name)
        expected.MergeFrom(type(actual)(**fields))
        differs = difference([expected], [actual])
        if differs:
            raise AssertionError(f"another state than expected (- expected, + actual):\n{differs}")
        return self

    def when(
        self,
        command: Message,
        *,
        actor: str = "user:test",
        roles: Collection[str] | None = None,
        received_at: datetime = RECEIVED_AT,
    ) -> Outcome:
        """Continue with another command; see `Scenario.when`."""
        __tracebackhide__ = True
        return self._scenario.when(command, actor=actor, roles=roles, received_at=received_at)

    def _refused(self, kinds: tuple[type[CommandError], ...], expected: str) -> CommandError:
        __tracebackhide__ = True
        error = self._error
        if error is None:
            raise AssertionError(f"expected {expected}, but it recorded {shown(self._events)}")
        if not isinstance(error, kinds):
            raise AssertionError(f"expected {expected}, but it was {type(error).__name__}: {error}")
        return error


def _assert_same(state: bytes, aggregate: Aggregate[Any], fault: str) -> None:
    __tracebackhide__ = True
    expected = type(aggregate.state).FromString(state)
    differs = difference([expected], [aggregate.state])
    if differs:
        raise AssertionError(f"{fault} (- from events, + actual):\n{differs}")


def _bound(
    cls: type[Aggregate[Any]], registry: Registry, upcasters: tuple[Upcaster[Any, Any], ...]
) -> AggregateType:
    problems = Problems()
    state = registry.states.get(cls.state_type.DESCRIPTOR.full_name if cls.state_type.DESCRIPTOR else "")
    context = state.context if state else ""
    chain = Upcasters(upcasters, registry, problems)
    kind = bind_aggregate(context, cls, registry, chain, problems)
    problems.refuse()
    if kind is None:
        raise ContractError([f"{cls.__qualname__} does not fit its contracts"])
    return kind
