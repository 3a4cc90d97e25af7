"""Batches in flight, and where a worker of the same process leaves their outcomes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from intent_contracts.intent.v1 import CommandOutcome

from intent.commands.pending import Pending
from intent.commands.requests import CommandRequest

__all__ = ["Batch", "LocalOutcomes"]


@dataclass(eq=False, slots=True)
class Batch:
    """A batch in flight.

    Attributes:
        id: The id of its workflow.
        pendings: Its commands.
        published: Gets the outcomes, one per command, once they are known.
        begun: Whether its handle step has begun in this process.
    """

    id: str
    pendings: list[Pending]
    published: asyncio.Future[Sequence[CommandOutcome]] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )
    begun: bool = False

    def publish(self, outcomes: Sequence[CommandOutcome]) -> None:
        """Publish the outcomes; only the first call counts."""
        if not self.published.done():
            self.published.set_result(outcomes)


class LocalOutcomes:
    """The batches whose callers wait in this process, for the handle step that runs here too."""

    def __init__(self) -> None:
        self._batches: dict[str, Batch] = {}

    def expect(self, batch: Batch) -> None:
        """Register a batch whose outcomes are awaited."""
        self._batches[batch.id] = batch

    def forget(self, batch: Batch) -> None:
        """Unregister a batch."""
        self._batches.pop(batch.id, None)

    def requests(self, workflow_id: str) -> list[CommandRequest]:
        """Return the commands of a batch as this process received them; none if it did not.

        They are returned once, since handlers may change them: a repeated step reads them anew.
        """
        batch = self._batches.get(workflow_id)
        if batch is None or batch.begun:
            return []
        batch.begun = True
        return [pending.request for pending in batch.pendings]

    def publish(self, workflow_id: str, outcomes: Sequence[CommandOutcome]) -> None:
        """Publish the outcomes of a batch, if its callers wait in this process."""
        batch = self._batches.get(workflow_id)
        if batch is not None:
            batch.publish(outcomes)
