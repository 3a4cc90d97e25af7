"""What a saga needs from its host: Temporal in production, a script in tests."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Protocol

from google.protobuf.message import Message
from intent_contracts.intent.v1 import ChildStart, CommandEnvelope, CommandOutcome, SagaReport, SagaStatus

from intent.sagas.port import Port

__all__ = ["SagaHost"]


class SagaHost(Protocol):
    """Runs the durable calls of a saga. Everything else is its own, deterministic code."""

    @property
    def full(self) -> bool:
        """True when the history is long and the saga should continue in a new run."""
        ...

    def now(self) -> datetime:
        """Return the time, the same in every replay."""
        ...

    def changed(self, change: str) -> bool:
        """Return whether the run began with the code after a change, the same in every replay."""
        ...

    async def send(self, envelope: CommandEnvelope, on_delay: Callable[[], None]) -> CommandOutcome:
        """Send a command until it has an outcome, for as long as its context is unavailable.

        Args:
            envelope: The command; sent again under its id, it has no second effect.
            on_delay: Called once when the outcome does not come at once.
        """
        ...

    async def call(self, port: Port[Any, Any], request: Message) -> Message:
        """Call a port until it answers.

        Raises:
            StepRejected: It was ended from outside.
        """
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
