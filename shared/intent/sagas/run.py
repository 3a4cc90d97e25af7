"""One run of a saga: from the event that starts it to its report."""

from __future__ import annotations

import asyncio
from typing import Final

from google.protobuf.message import Message
from intent_contracts.intent.v1 import RecordedEvent, ResumeSagaRequest, SagaInput, SagaReport

from intent.errors import SagaFailure
from intent.sagas.attempts import Attempts
from intent.sagas.compensator import Compensator
from intent.sagas.host import SagaHost
from intent.sagas.inbox import Inbox
from intent.sagas.journal import Journal, packed, unpacked
from intent.sagas.outbox import Outbox, SagaIdentity
from intent.sagas.report import COMPENSATED, COMPENSATING, COMPLETED, ONGOING, UNSTARTED, Report
from intent.sagas.saga import Saga, start_types
from intent.sagas.scope import Scope, entered
from intent.sagas.steps import Steps

__all__ = ["MOST_CARRIED", "NeverStarted", "SagaRun"]

MOST_CARRIED: Final = 3 * 2**19
"""Bytes of the input of a new run; Temporal refuses 2 MiB, and events arrive until the run has begun."""
_MUCH: Final = 2**20
_GROWTH: Final = 50


class NeverStarted(Exception):
    """Events waited without success for the one that starts their saga; the message names them."""


class SagaRun:
    """Runs one saga on a host.

    Args:
        saga: Its class.
        identity: Which saga it is.
        host: Runs the durable calls.
        saga_input: What an earlier run left; empty for the first run.
    """

    def __init__(
        self, saga: type[Saga], identity: SagaIdentity, host: SagaHost, saga_input: SagaInput
    ) -> None:
        saga_input = unpacked(saga_input)
        self._saga = saga
        self._host = host
        self._input = saga_input
        self._weigh_at, self._fits = 0, True
        self._journal = Journal(saga_input.journal)
        self._inbox = Inbox(saga_input.events, self._journal.taken)
        report = SagaReport()
        report.CopyFrom(saga_input.report)
        self._report = Report(report, host.now)
        if not report.status:
            self._report.enter(UNSTARTED)
        self._outbox = Outbox(identity)
        self._attempts = Attempts(host, self._report)
        self._steps = Steps(
            identity, host, self._inbox, self._journal, self._report, self._outbox, self._attempts
        )
        self._steps.full = self._is_full
        self._steps.cancelled = saga_input.cancelled
        if saga_input.HasField("cancelled_after"):
            self._steps.cancelled_after = saga_input.cancelled_after
        self._compensator = Compensator(self._report, self._outbox, self._attempts)

    def deliver(self, event: RecordedEvent) -> None:
        """Accept an event; one that came before is dropped."""
        self._inbox.deliver(event)

    def cancel(self, reason: str) -> None:
        """End the saga at its next step and undo it; one that is being undone already continues."""
        if not self._steps.cancelled:
            self._steps.cancelled = reason or "no reason was given"
            self._steps.cancelled_after = len(self._inbox.events)
            self._steps.end_calls()

    def resume(self, request: ResumeSagaRequest) -> None:
        """Resume the parked steps."""
        self._attempts.resume(request)

    def report(self) -> SagaReport:
        """Return the saga's report."""
        return self._report.message(self._inbox.untaken)

    def onward(self) -> SagaInput:
        """Return the input of the next run."""
        return packed(self._onward())

    def _onward(self) -> SagaInput:
        saga_input = SagaInput(
            events=self._inbox.events,
            journal=self._journal.entries,
            report=self._report.kept,
            cancelled=self._steps.cancelled,
            cancelled_after=self._steps.cancelled_after if self._steps.cancelled else None,
        )
        if self._input.HasField("child"):
            saga_input.child.CopyFrom(self._input.child)
        return saga_input

    async def run(self) -> SagaReport | None:
        """Run the saga; return its report, or None when it is to continue in a new run.

        Raises:
            NeverStarted: The event that starts it did not come.
            Exception: The saga's code has a defect.
        """
        message = await self._start()
        self._report.enter(ONGOING)
        failure = await self._take_steps(message)
        if isinstance(failure, _Continued):
            return None
        if failure is not None:
            await self._undo(failure)
        self._report.enter(COMPLETED if failure is None else COMPENSATED)
        report = self.report()
        self._host.show(report.status, "")
        return report

    async def _start(self) -> Message:
        """Wait for the event that starts the saga, and open it."""
        types = start_types(self._saga)
        if self._input.HasField("child"):
            start = self._input.child
            self._outbox.cause, self._outbox.latest = start.cause, start.cause.event_id
            return types[start.type].FromString(start.data)
        entry = self._journal.entry("start")
        if not entry.event:
            entry.event = await self._starter(frozenset(types))
        event = self._inbox.take(entry.event)
        self._outbox.cause, self._outbox.latest = event, event.event_id
        return types[event.type].FromString(event.data)

    async def _starter(self, types: frozenset[str]) -> int:
        until = self._host.now() + self._saga.start_within
        if not await self._host.wait(lambda: self._inbox.find(types) > 0, until):
            came = ", ".join(dict.fromkeys(self._inbox.untaken)) or "none"
            raise NeverStarted(f"no event that starts {self._saga.name} came; others that came: {came}")
        return self._inbox.find(types)

    async def _take_steps(self, message: Message) -> SagaFailure | _Continued | None:
        """Run the author's code; return why it failed, or None."""
        steps = asyncio.ensure_future(self._within(message))
        await self._host.wait(lambda: steps.done() or self._continues, None)
        if not steps.done():
            steps.cancel()
            return _Continued()
        if steps.cancelled() or isinstance(steps.exception(), GeneratorExit):
            # By these, the end of the code would pass for the end of the workflow's own task.
            name = "CancelledError" if steps.cancelled() else "GeneratorExit"
            raise RuntimeError(f"its code raised {name}")
        try:
            await steps
        except SagaFailure as failure:
            return failure
        return None

    async def _within(self, message: Message) -> None:
        started = 0 if self._input.HasField("child") else self._journal.entry("start").event
        with entered(Scope(seen=started)):
            await self._saga(self._steps).run(message)

    @property
    def _continues(self) -> bool:
        """True when this run is full and nothing is under way that the next one could not take over."""
        return self._steps.busy == 0 and self._is_full()

    def _is_full(self) -> bool:
        """Return whether it is to continue in a new run, and what it knows fits into the input of that.

        Otherwise it continues in this one, up to the limits that Temporal sets to a history. What it knows
        is not weighed at each turn, but whenever it has grown.
        """
        if not self._host.full:
            return False
        size = len(self._inbox.events) + len(self._journal.entries)
        if size >= self._weigh_at:
            self._weigh_at = size + max(_GROWTH, size // 10)
            self._fits = self._weigh(self.onward().ByteSize())
        return self._fits

    def _weigh(self, carried: int) -> bool:
        fits = carried <= MOST_CARRIED
        if carried > _MUCH:
            told = "it continues in this run, which Temporal ends at 50 MiB or 50,000 events of history"
            self._report.warn(
                f"what the saga has heard and done comes to {carried / 2**20:.1f} MiB, compressed, of the "
                f"{MOST_CARRIED / 2**20:.1f} MiB that it can take into a new run"
                + ("" if fits else f"; {told}: let it come to its end, or cancel it")
            )
        return fits

    async def _undo(self, failure: SagaFailure) -> None:
        self._report.failed(failure.reason, failure.message)
        self._report.enter(COMPENSATING)
        if self._steps.compensations.reversed():
            self._host.show(COMPENSATING, failure.reason)
        await self._compensator.undo(self._steps.compensations)


class _Continued:
    """The saga continues in a new run."""
