"""Commands between their arrival and their answer."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from intent_contracts.intent.v1 import CommandEnvelope, CommandOutcome

from intent.commands.outcomes import as_duplicate, failed
from intent.commands.requests import CommandRequest
from intent.errors import CommandError
from intent.records import CommandKey

__all__ = ["Pending", "Waiter", "awaited", "wanting_projection"]


@dataclass(slots=True, eq=False)
class Waiter:
    """One caller that waits for a command.

    Attributes:
        future: Gets the outcome, marked as a duplicate for all but the first caller.
        since: When it started to wait, on the event loop's clock.
        applied_only: True when it wants its answer at the append.
        joined: True when another caller had sent the command already.
    """

    future: asyncio.Future[CommandOutcome]
    since: float
    applied_only: bool
    joined: bool

    def answer(self, outcome: CommandOutcome) -> None:
        """Give the caller its outcome, unless it has left."""
        if not self.future.done():
            self.future.set_result(as_duplicate(outcome) if self.joined else outcome)

    def refuse(self, error: CommandError) -> None:
        """Give the caller an error, unless it has left."""
        if not self.future.done():
            self.future.set_exception(error)


@dataclass(slots=True, eq=False)
class Pending:
    """A command that is queued or under way.

    Attributes:
        envelope: The command.
        key: Its tenant and id.
        fingerprint: The digest of its contents.
        size: Its size in a batch, in bytes.
        request: The command as its first caller sent it, validated.
        waiters: The callers that wait for it; several when its id is repeated meanwhile.
        accepted: Gets the handle once a workflow carries the command; only when asked for.
        submitters: The number of callers that wait for `accepted`.
        handle: The workflow that carries the command; empty before.
        dropped: True once its lane has skipped it because nobody waited any more.
    """

    envelope: CommandEnvelope
    key: CommandKey
    fingerprint: bytes
    size: int
    request: CommandRequest
    waiters: list[Waiter] = field(default_factory=list)
    accepted: asyncio.Future[str] | None = None
    submitters: int = 0
    handle: str = ""
    dropped: bool = False

    @property
    def abandoned(self) -> bool:
        """True when nobody waits any more, so that it need not be sent."""
        return not self.submitters and not self.awaited

    @property
    def awaited(self) -> bool:
        """True while a caller waits for the outcome."""
        return any(not waiter.future.done() for waiter in self.waiters)

    async def acceptance(self) -> str:
        """Wait until a workflow carries the command; return the handle.

        Raises:
            CommandError: It was not accepted.
        """
        if self.accepted is None:
            self.accepted = asyncio.get_running_loop().create_future()
        self.submitters += 1
        try:
            return await asyncio.shield(self.accepted)
        finally:
            self.submitters -= 1

    def accept(self, handle: str) -> None:
        """Record the workflow that carries the command."""
        self.handle = handle
        if self.accepted is not None and not self.accepted.done():
            self.accepted.set_result(handle)

    def answer(self, outcome: CommandOutcome, *, applied_only: bool | None = None) -> None:
        """Answer the callers; with `applied_only` set, only those with the same wish."""
        for waiter in self.waiters:
            if applied_only is None or waiter.applied_only == applied_only:
                waiter.answer(outcome)

    def refuse(self, error: CommandError) -> None:
        """Answer every caller with an error."""
        for waiter in self.waiters:
            waiter.refuse(error)
        if self.accepted is not None and not self.accepted.done():
            if self.submitters:
                self.accepted.set_exception(error)
            else:
                self.accepted.cancel()

    def fail(self, error: CommandError) -> CommandOutcome:
        """Return an outcome which says that the command had no effect."""
        return failed(self.key.tenant, self.envelope.command_id, error)


def awaited(pendings: Sequence[Pending]) -> bool:
    """Return whether a caller waits for the outcome of one of these commands."""
    return any(pending.awaited for pending in pendings)


def wanting_projection(pendings: Sequence[Pending]) -> bool:
    """Return whether a caller of these commands waits for the read models."""
    return any(
        not waiter.applied_only and not waiter.future.done()
        for pending in pendings
        for waiter in pending.waiters
    )
