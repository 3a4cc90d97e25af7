"""Tries steps until they have an outcome: shows what holds them up, and parks what takes too long.

Only what the command's context decided is an outcome. Something unavailable, or a handler that raises,
says nothing about the command: the step is retried, is shown as delayed, and is parked in the end, where
an operator decides. None of it ever counts as a rejection by itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from itertools import count
from typing import Any, Final, TypeVar

from google.protobuf.message import Message
from intent_contracts.intent.v1 import (
    CommandEnvelope,
    CommandOutcome,
    Failure,
    FailureKind,
    ResumeSagaRequest,
    SagaStep,
)

from intent.envelopes import timestamp
from intent.sagas.host import CallEnded, Delayed, Problem, SagaHost
from intent.sagas.journal import DELAYED, PARKED, RUNNING
from intent.sagas.port import Port
from intent.sagas.report import Report

__all__ = ["Attempts", "GivenUp"]

T = TypeVar("T")

_DELAYS_SHOW: Final = "delays-show"
"""The change since which a step that is held up is shown as delayed, and parked in the end."""

_DEFECTS_PARK: Final = "defects-park"
"""The change since which a defect of a handler is parked; before, it counted as a rejection."""

_TAKEN_IDS_PARK: Final = "taken-ids-park"
"""The change since which a step whose id another command has is parked; before, it counted as rejected."""

_RETRIES_OF_DEFECTS: Final = 8
_PAUSE_AFTER_DEFECT: Final = timedelta(seconds=1)
"""The first pause; each is twice the one before, so that the retries take 4 minutes and 15 seconds."""


class GivenUp(Exception):
    """A step ends without an outcome.

    Attributes:
        skip: Why, when an operator skipped it; None when the saga is cancelled.
        problem: What held it up.
        effect_unknown: Whether it may still have an effect.
    """

    def __init__(self, skip: ResumeSagaRequest | None, problem: Problem, *, effect_unknown: bool) -> None:
        super().__init__(problem.reason, problem.detail)
        self.skip = skip
        self.problem = problem
        self.effect_unknown = effect_unknown

    @property
    def failure(self) -> Failure:
        """The failure that a skipped step counts as."""
        words = self.skip.reason if self.skip is not None else ""
        kind = (
            FailureKind.FAILURE_KIND_UNAVAILABLE if self.effect_unknown else FailureKind.FAILURE_KIND_INTERNAL
        )
        return Failure(kind=kind, reason="SKIPPED", message=words or self.problem.detail)


def _never() -> bool:
    return False


class Attempts:
    """The attempts of a saga's steps, and the parked steps that wait for an operator.

    Args:
        host: Runs the durable calls.
        report: The saga's report.
    """

    def __init__(self, host: SagaHost, report: Report) -> None:
        self._host = host
        self._report = report
        self._parked: set[str] = set()
        self._decisions: dict[str, ResumeSagaRequest] = {}

    def resume(self, request: ResumeSagaRequest) -> None:
        """Resume the parked steps; do nothing without one."""
        for path in self._parked:
            self._decisions[path] = request

    async def executed(
        self, step: SagaStep, envelope: Callable[[int], CommandEnvelope], cut: Callable[[], bool]
    ) -> CommandOutcome:
        """Send a command until it is applied or rejected, if need be under another id.

        That another command has its id says nothing of what the step is for, so it is no rejection.

        Args:
            step: Its line in the report.
            envelope: Makes the command's envelope for each attempt, counted from 1, with an id of its own.
            cut: Returns whether the step is to end where it has no effect, or is parked.

        Raises:
            GivenUp: It is skipped by an operator, or cut short.
        """
        for attempt in count(1):
            made = envelope(attempt)
            step.command_id = made.command_id
            outcome = await self.decided(step, made, cut)
            if not (_is_taken(outcome) and self._host.follows(_TAKEN_IDS_PARK, since=2)):
                break
            # The other command may be what this step sent in an earlier form.
            await self._permitted(step, _problem(outcome), cut, effect_unknown=True)
        return outcome

    async def decided(
        self, step: SagaStep, envelope: CommandEnvelope, cut: Callable[[], bool] = _never
    ) -> CommandOutcome:
        """Send a command until it is applied or rejected.

        Args:
            step: Its line in the report.
            envelope: The command.
            cut: Returns whether the step is to end where it has no effect, or is parked.

        Raises:
            GivenUp: It is skipped by an operator, or cut short.
        """
        while True:
            outcome = await self._retried(step, envelope, cut)
            defect = outcome.failure.kind == FailureKind.FAILURE_KIND_INTERNAL
            if not (defect and self._host.follows(_DEFECTS_PARK)):
                self._end_delay(step)
                return outcome
            await self._permitted(step, _problem(outcome), cut, effect_unknown=False)

    async def answered(
        self, step: SagaStep, port: Port[Any, Any], request: Message, cut: Callable[[], bool]
    ) -> Message:
        """Call a port until it answers.

        Raises:
            GivenUp: It is skipped by an operator, or cut short.
            StepRejected: It was ended from outside.
        """
        once = partial(self._host.call_once, port, request, step.path)
        on = partial(self._host.call, port, request)
        try:
            answer = await self._available(step, cut, once, on)
        except CallEnded as ended:
            problem = Problem(step.reason, step.detail)
            raise GivenUp(None, problem, effect_unknown=True) from ended
        self._end_delay(step)
        return answer

    async def parked(
        self,
        step: SagaStep,
        problem: Problem,
        cut: Callable[[], bool] = _never,
        over: Callable[[], bool] = _never,
    ) -> ResumeSagaRequest | None:
        """Park a step until an operator decides; return the decision, or None when it is not needed.

        Args:
            step: The step.
            problem: Why.
            cut: Returns whether the step is to end.
            over: Returns whether the step has its outcome after all.
        """
        path = step.path
        step.status, step.reason, step.detail = PARKED, problem.reason, problem.detail
        self._parked.add(path)
        self._show()
        await self._host.wait(lambda: path in self._decisions or cut() or over(), None)
        self._parked.discard(path)
        request = self._decisions.pop(path, None)
        step.status = RUNNING
        self._show()
        if request is not None and not request.skip:
            step.attempts += 1
        return request

    async def _permitted(
        self, step: SagaStep, problem: Problem, cut: Callable[[], bool], *, effect_unknown: bool
    ) -> None:
        """Park a step until an operator lets it be tried again."""
        request = await self.parked(step, problem, cut)
        if request is None or request.skip:
            raise GivenUp(request, problem, effect_unknown=effect_unknown)

    async def _retried(
        self, step: SagaStep, envelope: CommandEnvelope, cut: Callable[[], bool]
    ) -> CommandOutcome:
        """Send a command; after a defect of its handler, which is not kept as its outcome, retry."""
        once, on = partial(self._host.send_once, envelope), partial(self._host.send, envelope)
        send = partial(self._available, step, cut, once, on)
        outcome = await send()
        for number in range(_RETRIES_OF_DEFECTS):
            if outcome.failure.kind != FailureKind.FAILURE_KIND_INTERNAL:
                break
            await self._pause(step, _problem(outcome), _PAUSE_AFTER_DEFECT * 2**number, cut)
            outcome = await send()
        return outcome

    async def _pause(
        self, step: SagaStep, problem: Problem, pause: timedelta, cut: Callable[[], bool]
    ) -> None:
        if self._host.follows(_DEFECTS_PARK):
            self._delay(step, problem)
        else:
            cut = _never
        if await self._host.wait(cut, self._host.now() + pause):
            raise GivenUp(None, problem, effect_unknown=False)

    async def _available(
        self,
        step: SagaStep,
        cut: Callable[[], bool],
        once: Callable[[], Awaitable[T]],
        on: Callable[[str], Awaitable[T]],
    ) -> T:
        """Ask once; when that brings nothing, ask on for as long as it takes."""
        while True:
            try:
                return await once()
            except Delayed as delayed:
                problem = delayed.problem
            if not self._host.follows(_DELAYS_SHOW):
                self._show()
                return await on("")
            self._delay(step, problem)
            asking = asyncio.ensure_future(on(step.path))
            request = await self._decision(step, problem, cut, asking)
            if not await _ended(asking):
                return asking.result()
            if request is None or request.skip:
                raise GivenUp(request, problem, effect_unknown=True)

    async def _decision(
        self, step: SagaStep, problem: Problem, cut: Callable[[], bool], asking: asyncio.Future[Any]
    ) -> ResumeSagaRequest | None:
        """Wait until there is an outcome; from some time on, until an operator decides.

        Parked, it is asked for on: an operator need not look at every saga when all is well again.
        """
        if await self._host.wait(asking.done, self._host.now() + self._host.park_after):
            return None
        return await self.parked(step, problem, cut, asking.done)

    def _delay(self, step: SagaStep, problem: Problem) -> None:
        if step.status != DELAYED:
            step.delayed_since.CopyFrom(timestamp(self._host.now()))
        step.status, step.reason, step.detail = DELAYED, problem.reason, problem.detail
        step.attempts += 1
        self._show()

    def _end_delay(self, step: SagaStep) -> None:
        step.ClearField("delayed_since")
        if step.status == DELAYED:
            step.status, step.reason, step.detail = RUNNING, "", ""
            self._show()

    def _show(self) -> None:
        self._host.show(self._report.status, self._report.current)


async def _ended(asking: asyncio.Future[Any]) -> bool:
    """End what still asks; return whether it has ended without an outcome."""
    if not asking.done():
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        return asking.cancelled() or asking.exception() is not None
    return False


def _problem(outcome: CommandOutcome) -> Problem:
    return Problem(outcome.failure.reason, outcome.failure.message)


def _is_taken(outcome: CommandOutcome) -> bool:
    failure = outcome.failure
    return failure.kind == FailureKind.FAILURE_KIND_INVALID and failure.reason == "COMMAND_ID_REUSED"
