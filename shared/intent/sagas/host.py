"""What a saga needs from its host: Temporal in production, a script in tests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

from google.protobuf.message import Message
from intent_contracts.intent.v1 import ChildStart, CommandEnvelope, CommandOutcome, SagaReport, SagaStatus

from intent.sagas.port import Port

__all__ = ["NEVER", "CallEnded", "Delayed", "Problem", "SagaHost"]


NEVER: Final = timedelta(days=3650)
"""A time after which nothing is parked in practice."""


@dataclass(frozen=True, slots=True)
class Problem:
    """What holds a step up.

    Attributes:
        reason: A short name, such as ``STORE_UNAVAILABLE``.
        detail: The same in words.
    """

    reason: str
    detail: str


class Delayed(Exception):
    """An outcome or an answer does not come at once.

    Attributes:
        problem: Why.
    """

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.reason, problem.detail)
        self.problem = problem


class CallEnded(Exception):
    """A call of a port has ended without an answer, because `SagaHost.end_calls` was called."""


class SagaHost(Protocol):
    """Runs the durable calls of a saga. Everything else is its own, deterministic code."""

    @property
    def full(self) -> bool:
        """True when the history is long and the saga should continue in a new run."""
        ...

    @property
    def park_after(self) -> timedelta:
        """How long a step is held up before an operator is to decide; `NEVER` at the longest.

        There is always a limit, so that a replay under another setting does the same.
        """
        ...

    def now(self) -> datetime:
        """Return the time, the same in every replay."""
        ...

    def changed(self, change: str) -> bool:
        """Return whether the run began with the code after a change, the same in every replay."""
        ...

    def follows(self, change: str, since: int = 1) -> bool:
        """Return the same for a change of the platform; true of every saga that began after it.

        Args:
            change: The change.
            since: The version of the platform's code of sagas that came with it.
        """
        ...

    async def send_once(self, envelope: CommandEnvelope) -> CommandOutcome:
        """Send a command the quick way, once.

        Args:
            envelope: The command; sent again under its id, it has no second effect.

        Raises:
            Delayed: It has no outcome yet.
        """
        ...

    async def send(self, envelope: CommandEnvelope, path: str) -> CommandOutcome:
        """Send a command until it has an outcome.

        Args:
            envelope: The command.
            path: The path of its step, by which its attempts can be found from outside; empty: they
                cannot.
        """
        ...

    async def call_once(self, port: Port[Any, Any], request: Message, path: str) -> Message:
        """Call a port once; see `send` for the path.

        Raises:
            CallEnded: `end_calls` was called.
            Delayed: It did not answer.
            StepRejected: It was ended from outside.
        """
        ...

    async def call(self, port: Port[Any, Any], request: Message, path: str) -> Message:
        """Call a port until it answers; see `send` for the path.

        Raises:
            CallEnded: `end_calls` was called.
            StepRejected: It was ended from outside.
        """
        ...

    def end_calls(self) -> None:
        """End the calls of ports under way, each after its current attempt."""
        ...

    async def child(self, workflow_id: str, start: ChildStart) -> SagaReport:
        """Run a child saga to its end, and return its report."""
        ...

    async def cancel_child(self, workflow_id: str, reason: str) -> None:
        """Ask a child saga to end and to undo what it did."""
        ...

    async def wait(self, condition: Callable[[], bool], until: datetime | None) -> bool:
        """Wait until a condition holds or the time has come; return whether it holds."""
        ...

    async def checkpoint(self) -> None:
        """Return when everything that the saga knows now is durable, so that a replay knows the same."""
        ...

    def show(self, status: SagaStatus.ValueType, step: str) -> None:
        """Publish the status of the saga for lists."""
        ...
