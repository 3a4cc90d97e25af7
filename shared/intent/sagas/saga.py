"""The base class of sagas: durable straight-line code across several aggregates and contexts."""

from __future__ import annotations

import types
import typing
from collections.abc import Awaitable, Set
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from typing import Any, ClassVar, NoReturn, TypeVar, overload

from google.protobuf.message import Message
from intent_contracts.intent.v1 import CommandResult, RecordedEvent

from intent.annotations import message_of, parameter_names, type_hints
from intent.errors import SagaGaveUp, StepRejected
from intent.sagas.branches import side_by_side
from intent.sagas.compensation import Undo
from intent.sagas.port import Port
from intent.sagas.steps import Steps

__all__ = ["Saga", "start_types"]

A = TypeVar("A", bound=Message)
E = TypeVar("E", bound=Message)
F = TypeVar("F", bound=Message)
G = TypeVar("G", bound=Message)
T = TypeVar("T")
U = TypeVar("U")
V = TypeVar("V")


class Saga:
    """Carries one business process through its steps, or undoes what it did.

    A subclass has the name of its message in the contracts and says what to do.

    Example::

        class FulfilOrder(Saga):
            async def run(self, started: CheckoutStarted) -> None:
                reserve = ReserveStock(warehouse_id="main", reservation_id=self.correlation)
                release = ReleaseStock(warehouse_id="main", reservation_id=self.correlation)
                await self.execute(reserve, compensate=release)
                await self.wait_for(ParcelDelivered, timeout=timedelta(days=14))

    There is one saga per type, tenant and correlation. Its code runs again from the start after a
    crash, and every step returns what it returned before, so it must do nothing but its steps: no
    I/O, no clock, no randomness. Its module is loaded in a sandbox that refuses those. The saga
    completes when `run` returns; a `SagaFailure` that it does not catch makes its compensations
    run, the last one first.

    Attributes:
        name: The short name in the contracts; by default the class's name.
        start_within: How long events that came early wait for the one that starts the saga.
        history_limit: After so many entries of its workflow's history it continues in a new run.
    """

    name: ClassVar[str] = ""
    start_within: ClassVar[timedelta] = timedelta(days=7)
    history_limit: ClassVar[int] = 10_000

    def __init__(self, steps: Steps) -> None:
        self._steps = steps

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Name the class."""
        super().__init_subclass__(**kwargs)
        if "name" not in vars(cls):
            cls.name = cls.__name__

    async def run(self, started: Any) -> None:
        """Take the steps, from the event that starts the saga, or from a child's message."""
        raise NotImplementedError(f"{type(self).__qualname__} has no run method")

    @property
    def tenant(self) -> str:
        """The tenant whose process it is."""
        return self._steps.identity.tenant

    @property
    def correlation(self) -> str:
        """The value by which events find it, e.g. the order's id."""
        return self._steps.identity.correlation

    @property
    def cause(self) -> RecordedEvent:
        """The recorded event that started it; of a child, the one that started its parent."""
        return self._steps.outbox.cause

    def now(self) -> datetime:
        """Return the time, the same in every replay of the code."""
        return self._steps.host.now()

    @overload
    async def execute(self, command: Message, *, compensate: Undo = None) -> CommandResult: ...

    @overload
    async def execute(
        self, command: Message, *, accepts: Set[str], compensate: Undo = None
    ) -> CommandResult | None: ...

    async def execute(
        self, command: Message, *, accepts: Set[str] = frozenset(), compensate: Undo = None
    ) -> CommandResult | None:
        """Send a command to the context whose contract it is, and return its result.

        It waits for as long as that context is unavailable, if need be for days.

        Args:
            command: The command; one that the saga's contract names in `sends`.
            accepts: Reasons of rejections that are answers and no failures, e.g. because somebody else
                was faster; it returns None then. Binding the context checks them against `rejects` of
                the command's contract.
            compensate: What undoes it when the saga fails later: a command, a `Compensation`, or
                several, which run in the order given.

        Raises:
            StepRejected: It was rejected for another reason; in either case there is nothing to undo.
            Interrupted: See `interruptible_by`; only by an event that the saga knew of before.
        """
        try:
            return await self._steps.execute(command, compensate)
        except StepRejected as rejected:
            if rejected.reason not in accepts:
                raise
            return None

    def compensate_with(self, undo: Undo) -> None:
        """Register a compensation that belongs to no single step."""
        self._steps.compensate_with(undo)

    def commit(self) -> None:
        """Discard the compensations so far: from here on, nothing before is undone."""
        self._steps.compensations.clear()

    @overload
    async def wait_for(self, event: type[E], /, *, timeout: timedelta | None = None) -> E: ...

    @overload
    async def wait_for(
        self, event: type[E], or_: type[F], /, *, timeout: timedelta | None = None
    ) -> E | F: ...

    @overload
    async def wait_for(
        self, event: type[E], or_: type[F], or_else: type[G], /, *, timeout: timedelta | None = None
    ) -> E | F | G: ...

    @overload
    async def wait_for(self, *events: type[Message], timeout: timedelta | None = None) -> Message: ...

    async def wait_for(self, *events: type[Message], timeout: timedelta | None = None) -> Message:
        """Wait for the first event of these types that no step has taken, and take it.

        An event that came earlier counts: nothing is lost while the saga is at another step.

        Args:
            events: The classes of events; those of the contract's `listens_to`.
            timeout: How long to wait; None: without limit.

        Raises:
            StepTimedOut: It did not come in time.
            Interrupted: See `interruptible_by`.
        """
        return await self._steps.wait_for(events, timeout)

    async def sleep(self, duration: timedelta) -> None:
        """Wait for a time, be it seconds or months.

        Raises:
            Interrupted: See `interruptible_by`.
        """
        await self._steps.sleep(duration)

    async def call(self, port: Port[Any, A], request: Message) -> A:
        """Call a port of the context until it answers, and return the answer.

        Raises:
            Interrupted: See `interruptible_by`.
        """
        answer: A = await self._steps.call(port, request)
        return answer

    async def child(self, saga: type[Saga], message: Message, *, compensate: Undo = None) -> None:
        """Run another saga of this context to its end.

        Args:
            saga: The child's class.
            message: The argument of its `run`.
            compensate: What undoes all of it when this saga fails later.

        Raises:
            ChildFailed: It failed and undid what it had done.
            Interrupted: See `interruptible_by`. Before that, the child ends and undoes what it did.
        """
        await self._steps.child(f"{self._package}.{saga.name}", message, compensate)

    @overload
    async def parallel(self, first: Awaitable[T], second: Awaitable[U], /) -> tuple[T, U]: ...

    @overload
    async def parallel(
        self, first: Awaitable[T], second: Awaitable[U], third: Awaitable[V], /
    ) -> tuple[T, U, V]: ...

    @overload
    async def parallel(self, *steps: Awaitable[T]) -> tuple[T, ...]: ...

    async def parallel(self, *steps: Awaitable[Any]) -> tuple[Any, ...]:
        """Run steps side by side, and return the result of each, in the order given.

        Each may be a step or a coroutine of several. When one fails, the waits of the others end
        early and their commands run to their outcome; then its failure is raised.

        Raises:
            SagaFailure: That of the branch that failed.
        """
        return await side_by_side(steps)

    def interruptible_by(self, *events: type[Message]) -> AbstractContextManager[None]:
        """Let events end what is under way within a `with` block.

        When one comes, or has come and was not taken, the current wait ends at once and
        `Interrupted` is raised; a call or a child that is under way ends first. Events count
        in the order in which they came. A saga learns of them where it waits, not between
        consecutive commands: these are all sent first, so that code which runs again after a
        crash sends the same commands as before.
        """
        return self._steps.interruptible(events)

    def changed(self, change: str) -> bool:
        """Return whether this saga began with, or after, a change of its code.

        A saga in flight continues on the code that it began with.

        Example::

            class FulfilOrder(Saga):
                async def run(self, started: CheckoutStarted) -> None:
                    if self.changed("capture-at-hand-over"):
                        await self.wait_for(ParcelHandedOver)
                    # Remove the condition when no saga that began before the change is in flight.
                    await self.execute(CapturePayment(payment_id=self.correlation))

        Args:
            change: A name for the change, never used for another.
        """
        return self._steps.changed(change)

    def fail(self, reason: str, message: str) -> NoReturn:
        """Give up: the compensations run, and the saga ends as compensated.

        Args:
            reason: Stable, in upper snake case.
            message: A sentence for a person.

        Raises:
            SagaGaveUp: Always.
        """
        raise SagaGaveUp(reason, message)

    @property
    def _package(self) -> str:
        return self._steps.identity.type.rpartition(".")[0]


def start_types(saga: type[Saga]) -> dict[str, type[Message]]:
    """Return the messages that a saga's `run` takes, by their full names.

    Raises:
        TypeError: Its parameter is annotated with something else.
    """
    names = parameter_names(saga.run)
    fix = "let run take one parameter, annotated with the events that start the saga"
    if len(names) != 1:
        raise TypeError(f"{saga.__qualname__}.run takes {len(names)} parameters besides self; {fix}")
    try:
        hint = type_hints(saga.run).get(names[0])
    except TypeError as error:
        raise TypeError(f"{saga.__qualname__}.run: {error}") from error
    union = typing.get_origin(hint) in (typing.Union, types.UnionType)
    messages = [message_of(one) for one in (typing.get_args(hint) if union else (hint,))]
    named = {message.DESCRIPTOR.full_name: message for message in messages if message is not None}
    if None in messages:
        raise TypeError(f"{saga.__qualname__}.run: {fix}")
    return named
