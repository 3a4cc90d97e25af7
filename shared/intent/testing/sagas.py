"""Tests of sagas against a script, without a server and with a clock of their own.

Example::

    (
        scripted(FulfilOrder, checkout, correlation="o-1")
        .on(AuthorizePayment, emits=PaymentDeclined(order_id="o-1", decline_code="STOLEN"))
        .run()
        .then_compensated("PAYMENT_DECLINED")
        .then_sent(ReserveStock, AuthorizePayment, AbandonOrder, CancelPayment, ReleaseStock)
    )
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

from google.protobuf.message import Message
from intent_contracts.intent.v1 import (
    Failure,
    FailureKind,
    ResumeSagaRequest,
    SagaReport,
    SagaStatus,
    SagaStepStatus,
)

from intent.contracts import Registry, SagaContract
from intent.contracts.differences import difference
from intent.sagas import Port, Saga, SagaIdentity
from intent.sagas.host import NEVER
from intent.testing.declared import assert_declared
from intent.testing.history import installed
from intent.testing.restrictions import restricted
from intent.testing.scripted_host import ScriptedHost

__all__ = ["SagaOutcome", "SagaScript", "scripted"]


def scripted(
    saga: type[Saga],
    started: Message,
    *,
    correlation: str,
    tenant: str = "acme",
    aggregate_id: str = "",
    registry: Registry | None = None,
) -> SagaScript:
    """Start a script with the saga and the event that starts it.

    Args:
        saga: The saga's class.
        started: The event that starts it; of a child saga, the message that its `run` gets.
        correlation: What the saga is correlated by, e.g. the order's id.
        tenant: The tenant.
        aggregate_id: The aggregate that recorded the events; by default the correlation.
        registry: The contracts; by default all installed ones.

    Raises:
        AssertionError: The contracts define no such saga.
    """
    contracts = registry or installed()
    named = [c for c in contracts.sagas.values() if c.message.DESCRIPTOR.name == saga.name]
    own = [c for c in named if c.context == saga.__module__.partition(".")[0]] or named
    if not own:
        raise AssertionError(f"the contracts define no saga {saga.name}")
    identity = SagaIdentity(f"{own[0].type}/{tenant}/{correlation}", own[0].sends)
    host = ScriptedHost(saga, identity, contracts, aggregate_id or correlation)
    return SagaScript(contracts, own[0], started, host)


class SagaScript:
    """The answers that a saga gets; made by `scripted`. Unscripted commands succeed.

    Each call adds to the script and returns it. An instruction for a command applies to the next time
    that the command is sent; several instructions apply one after the other, and the last one to all
    that follow.
    """

    def __init__(
        self, registry: Registry, contract: SagaContract, started: Message, host: ScriptedHost
    ) -> None:
        self._registry = registry
        self._contract = contract
        self._started = started
        self._host = host

    def on(
        self,
        command: type[Message],
        *,
        emits: Message | Sequence[Message] = (),
        after: timedelta = timedelta(0),
        away_for: timedelta = timedelta(0),
    ) -> SagaScript:
        """Let a command succeed, and deliver events after it.

        Args:
            command: The command's class.
            emits: The events.
            after: How long after the command they are delivered.
            away_for: How long the command's context is unavailable first; `timedelta.max`: for ever.
        """
        events = [emits] if isinstance(emits, Message) else list(emits)
        self._check_listens(events)
        self._host.say(command, away_for=away_for, events=[(after, event) for event in events])
        return self

    def rejects(
        self, command: type[Message], reason: str, *, away_for: timedelta = timedelta(0)
    ) -> SagaScript:
        """Reject a command for a reason.

        Raises:
            AssertionError: The command's contract does not declare the reason.
        """
        __tracebackhide__ = True
        contract = self._registry.command(command.DESCRIPTOR.full_name)
        assert_declared(contract, reason, "the script rejects")
        kind = FailureKind.FAILURE_KIND_REJECTED
        failure = Failure(kind=kind, reason=reason, message=f"scripted: {reason}")
        self._host.say(command, failure=failure, away_for=away_for)
        return self

    def fails(self, command: type[Message], *, times: int | None = None) -> SagaScript:
        """Let the handler of a command raise, which is a defect and no rejection.

        The saga retries for some minutes, then it is stuck until `resumed_at`.

        Args:
            command: The command's class.
            times: How many attempts fail; None: all.
        """
        kind = FailureKind.FAILURE_KIND_INTERNAL
        failure = Failure(kind=kind, reason="INTERNAL", message="scripted: its handler raises")
        self._host.say(command, failure=failure, times=times)
        return self

    def finds_id_taken(self, command: type[Message], *, times: int = 1) -> SagaScript:
        """Let another command have the id of a command, which is no rejection of it.

        The saga is stuck until `resumed_at`, and sends the command under another id then.

        Args:
            command: The command's class.
            times: How many of its ids are taken.
        """
        kind = FailureKind.FAILURE_KIND_INVALID
        failure = Failure(kind=kind, reason="COMMAND_ID_REUSED", message="scripted: its id is taken")
        self._host.say(command, failure=failure, times=times)
        return self

    def answers(
        self, port: Port[Any, Any], *answers: Message, away_for: timedelta = timedelta(0)
    ) -> SagaScript:
        """Let a port give these answers, one after the other; the last to all further calls.

        Args:
            port: The port.
            answers: Its answers.
            away_for: How long it gives none first; `timedelta.max`: for ever.
        """
        self._host.answer(port.name, list(answers), away_for)
        return self

    def parks_after(self, duration: timedelta | None) -> SagaScript:
        """Set for how long a step may be held up before the saga is stuck; None: without end.

        By default it is a day, as it is by the setting `INTENT_SAGA_PARK_AFTER`.
        """
        self._host.park_after = duration or NEVER
        return self

    def child(self, saga: type[Saga], failing: str = "") -> SagaScript:
        """Let a child saga complete, or fail and be undone for a reason."""
        self._host.child_ends(saga.name, failing)
        return self

    def at(self, moment: timedelta, *events: Message) -> SagaScript:
        """Deliver events at a time after the start."""
        self._check_listens(events)
        for event in events:
            self._host.arrives(moment, event)
        return self

    def cancelled_at(self, moment: timedelta, reason: str = "by an operator") -> SagaScript:
        """Cancel the saga as an operator, at a time after the start."""
        self._host.later(moment, lambda: self._host.run.cancel(reason))
        return self

    def resumed_at(self, moment: timedelta, *, skip: bool = False) -> SagaScript:
        """Resume a stuck saga as an operator, at a time after the start."""
        request = ResumeSagaRequest(skip=skip, reason="scripted")
        self._host.later(moment, lambda: self._host.run.resume(request))
        return self

    def before(self, *changes: str) -> SagaScript:
        """Start the saga on the code before these changes; see `Saga.changed`."""
        self._host.unchanged.update(changes)
        return self

    def run(self) -> SagaOutcome:
        """Run the saga as far as the script goes.

        Raises:
            AssertionError: The saga sends a command that breaks its contract.
        """
        self._host.begin(self._started, child=self._contract.child)
        with restricted(self._host.package):
            asyncio.run(self._host.play())
        return SagaOutcome(self._host)

    def _check_listens(self, events: Sequence[Message]) -> None:
        known = {*self._contract.starts_on, *self._contract.listens_to}
        for event in events:
            name = event.DESCRIPTOR.full_name
            if name not in known:
                raise AssertionError(
                    f"{self._contract.type} does not listen to {name}, so it is never delivered"
                )


class SagaOutcome:
    """The outcome of a scripted saga; made by `SagaScript.run`. Its checks can be chained.

    Attributes:
        sent: The commands that it sent, in order, each once under its id; one whose id was taken, and a
            compensation that was rejected, has a new one when an operator retries it.
        called: The requests of its calls to ports, in order.
        elapsed: How long it took, on its own clock.
        report: Its report.
    """

    def __init__(self, host: ScriptedHost) -> None:
        self.sent: list[Message] = host.sent
        self.called: list[Message] = host.called
        self.elapsed: timedelta = host.elapsed
        self.report: SagaReport = host.run.report()

    def then_completed(self) -> SagaOutcome:
        """Expect that it completed.

        Raises:
            AssertionError: It did not.
        """
        return self._then(SagaStatus.SAGA_STATUS_COMPLETED, "")

    def then_compensated(self, reason: str) -> SagaOutcome:
        """Expect that it failed for a reason and was undone.

        Raises:
            AssertionError: The expectation is not met.
        """
        return self._then(SagaStatus.SAGA_STATUS_COMPENSATED, reason)

    def then_waits(self) -> SagaOutcome:
        """Expect that it waits for an event that the script does not deliver.

        Raises:
            AssertionError: The expectation is not met.
        """
        return self._then(SagaStatus.SAGA_STATUS_WAITING, "")

    def then_stuck(self, reason: str) -> SagaOutcome:
        """Expect that a step is parked, and waits for an operator, for a reason.

        Args:
            reason: That of a rejected compensation, ``INTERNAL`` for a handler that raises, or
                ``UNAVAILABLE`` or ``NO_ANSWER`` for what has been unavailable for too long.

        Raises:
            AssertionError: The expectation is not met.
        """
        self._then(SagaStatus.SAGA_STATUS_STUCK, None)
        status = SagaStepStatus.SAGA_STEP_STATUS_PARKED
        parked = [step.reason for step in self.report.steps if step.status == status]
        return self._expect([reason], parked, "other reasons of parked steps")

    def then_sent(self, *commands: Message | type[Message]) -> SagaOutcome:
        """Expect exactly these commands, in order; a class stands for a command with any fields.

        Raises:
            AssertionError: The expectation is not met; shows the differences.
        """
        names = [command.DESCRIPTOR.name for command in commands]
        self._expect(names, [command.DESCRIPTOR.name for command in self.sent], "other commands")
        for wanted, got in zip(commands, self.sent, strict=True):
            if isinstance(wanted, Message):
                differs = difference([wanted], [got])
                assert not differs, f"another command than expected (- expected, + sent):\n{differs}"
        return self

    def then(self, check: Callable[[SagaOutcome], bool]) -> SagaOutcome:
        """Expect that a custom check holds.

        Raises:
            AssertionError: It does not.
        """
        assert check(self), f"the check does not hold:\n{self.report}"
        return self

    def _then(self, status: SagaStatus.ValueType, reason: str | None) -> SagaOutcome:
        got = (SagaStatus.Name(self.report.status), self.report.failure_reason)
        wanted = (SagaStatus.Name(status), got[1] if reason is None else reason)
        return self._expect([" ".join(wanted)], [" ".join(got)], "another end")

    def _expect(self, wanted: list[str], got: list[str], what: str) -> SagaOutcome:
        assert wanted == got, f"{what} than expected:\n  expected {wanted}\n  got      {got}\n{self.report}"
        return self
