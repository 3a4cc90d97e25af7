"""What the service host needs of the other parts of the platform."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from typing import Any, Protocol
from uuid import UUID

from intent_contracts.intent.v1 import (
    CancelSagaRequest,
    CommandResult,
    GetSagaResponse,
    ListSagasRequest,
    ListSagasResponse,
    ProjectionStatus,
    RebuildProjectionResponse,
    ResumeSagaRequest,
)

from intent.commands.requests import CommandReport, CommandRequest, SubmittedCommand
from intent.contracts import Registry
from intent.model import Projection, Queries, Upcasters

__all__ = [
    "CommandRouter",
    "ProjectionOperator",
    "ReadSide",
    "SagaOperator",
    "ServedContext",
]


class CommandRouter(Protocol):
    """Carries commands to their aggregates; `intent.commands.router.WorkflowRouter` does.

    Cancelling one of its coroutines gives up the waiting only: an accepted command goes on.
    """

    async def handle(self, request: CommandRequest) -> CommandResult:
        """Run a command and returns its result; raises a `CommandError` when it had no effect."""
        ...

    async def submit(self, request: CommandRequest) -> SubmittedCommand:
        """Accept a command durably and returns its handle."""
        ...

    async def outcome(self, tenant: str, command_id: UUID, handle: str = "") -> CommandReport:
        """Tells how far a command is; raises `NotFound` when it is not known."""
        ...

    def close(self) -> None:
        """Take in no further commands; they get `Unavailable`."""
        ...

    async def drain(self, timeout: float) -> bool:
        """Wait until what was taken in is finished, at most `timeout` seconds; tells whether it is."""
        ...


class ServedContext(Protocol):
    """A context that is bound to its contracts; `intent.model.BoundContext` is one."""

    @property
    def name(self) -> str:
        """The context's name, e.g. ``orders``."""
        ...

    @property
    def registry(self) -> Registry:
        """The contracts."""
        ...

    @property
    def projections(self) -> Collection[type[Projection[Any]]]:
        """The projections."""
        ...

    @property
    def upcasters(self) -> Upcasters:
        """Bring events to their current schema version."""
        ...

    @property
    def queries(self) -> type[Queries] | None:
        """What answers the queries; None when there are none."""
        ...


class ReadSide(Protocol):
    """How far the read models are; the projection runner knows."""

    async def reach(
        self, position: int, timeout: float, names: Collection[str] | None = None
    ) -> Sequence[str]:
        """Wait until projections are at a position, at most `timeout` seconds.

        Args:
            position: The position of the log.
            timeout: In seconds; 0 only looks.
            names: Which projections; None: all.

        Returns:
            The names of those that are not there.
        """
        ...

    def position_of(self, name: str) -> int:
        """Return a position that a projection has surely reached."""
        ...


class ProjectionOperator(Protocol):
    """Shows and mends projections."""

    async def statuses(self) -> Sequence[ProjectionStatus]:
        """Return the status of each projection."""
        ...

    def rebuild(self, name: str) -> AsyncIterator[RebuildProjectionResponse]:
        """Rebuild a projection and tells how far it is; raises `NotFound` for an unknown name."""
        ...

    async def skip(self, name: str, position: int, reason: str, actor: str) -> ProjectionStatus:
        """Makes a projection pass over one event; raises a `CommandError` when that cannot be."""
        ...


class SagaOperator(Protocol):
    """Shows and mends the sagas of the context, of one tenant at a time.

    Each method raises `Unavailable` when what runs the sagas is away.
    """

    async def page(self, tenant: str, request: ListSagasRequest) -> ListSagasResponse:
        """Return a page of sagas, the newest first; raises `InvalidCommand` for a wrong page token."""
        ...

    async def get(self, tenant: str, id_: str) -> GetSagaResponse:
        """Return a saga with its steps; raises `NotFound` when the tenant has no such saga here."""
        ...

    async def resume(self, tenant: str, request: ResumeSagaRequest, actor: str) -> None:
        """Has a stuck saga go on; raises a `CommandError` when that cannot be."""
        ...

    async def cancel(self, tenant: str, request: CancelSagaRequest, actor: str) -> None:
        """End a saga at its next step; raises a `CommandError` when that cannot be."""
        ...
