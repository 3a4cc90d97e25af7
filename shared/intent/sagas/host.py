"""What a saga needs of whatever runs it: Temporal in production, a script in tests."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Protocol

from google.protobuf.message import Message
from intent_contracts.intent.v1 import ChildStart, CommandEnvelope, CommandOutcome, SagaReport, SagaStatus

from intent.sagas.port import Port

__all__ = ["SagaHost"]


class SagaHost(Protocol):
    """Runs what is durable of a saga. All calls but these are the saga's own, deterministic code."""

    @property
    def full(self) -> bool:
        """True when the history is long and the saga should go on in a new run."""
        ...

    def now(self) -> datetime:
        """Returns the time, the same in every replay."""
        ...

    def changed(self, change: str) -> bool:
        """Returns whether the run began with the code after a change, the same in every replay."""
        ...

    async def send(self, envelope: CommandEnvelope, on_delay: Callable[[], None]) -> CommandOutcome:
        """Sends a command until it has an outcome, for as long as its context is away.

        Args:
            envelope: The command; repeated, its id has no second effect.
            on_delay: Called once when it does not come back at once.
        """
        ...

    async def call(self, port: Port[Any, Any], request: Message) -> Message:
        """Calls a port until it answers.

        Raises:
            StepRejected: It was ended from outside.
        """
        ...

    async def child(self, workflow_id: str, start: ChildStart) -> SagaReport:
        """Runs a child saga to its end and returns its report."""
        ...

    async def cancel_child(self, workflow_id: str, reason: str) -> None:
        """Tells a child saga to end and to undo what it did."""
        ...

    async def wait(self, condition: Callable[[], bool], until: datetime | None) -> bool:
        """Waits until a condition holds or the time has come; returns whether it holds."""
        ...

    async def checkpoint(self) -> None:
        """Returns when all that the saga knows by now is kept, so that it will never know otherwise."""
        ...

    def show(self, status: SagaStatus.ValueType, step: str) -> None:
        """Makes visible to lists where the saga stands."""
        ...
