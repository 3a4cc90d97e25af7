"""The interfaces of the other parts of the platform that the gRPC server needs."""

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
    TerminateSagaRequest,
)

from intent.commands.requests import CommandReport, CommandRequest, SubmittedCommand
from intent.contracts import Registry
from intent.model import Projection, Queries, Upcasters

__all__ = [
    "CommandRouter",
    "ProjectionOperator",
    "SagaOperator",
    "ServedContext",
]


class CommandRouter(Protocol):
    """Carries commands to their aggregates; `intent.commands.router.WorkflowRouter` does.

    Cancelling one of its coroutines only ends the wait: an accepted command continues.
    """

    async def handle(self, request: CommandRequest) -> CommandResult:
        """Run a command and return its result; raise a `CommandError` when it had no effect."""
        ...

    async def submit(self, request: CommandRequest) -> SubmittedCommand:
        """Accept a command durably and return its handle."""
        ...

    async def outcome(self, tenant: str, command_id: UUID, handle: str = "") -> CommandReport:
        """Return the status and outcome of a command; raise `NotFound` when it is unknown."""
        ...

    def close(self) -> None:
        """Accept no further commands; they get `Unavailable`."""
        ...

    async def drain(self, timeout: float) -> bool:
        """Wait at most `timeout` seconds for all accepted commands; return whether all are finished."""
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
        """The upcasters, which convert events to their current schema version."""
        ...

    @property
    def queries(self) -> type[Queries] | None:
        """The class that answers the queries; None when there are none."""
        ...


class ProjectionOperator(Protocol):
    """Reports the status of projections, rebuilds them and lets them skip events."""

    async def statuses(self) -> Sequence[ProjectionStatus]:
        """Return the status of each projection."""
        ...

    def rebuild(self, name: str) -> AsyncIterator[RebuildProjectionResponse]:
        """Rebuild a projection and yield the progress; raise `NotFound` for an unknown name."""
        ...

    async def skip(
        self, name: str, position: int, reason: str, actor: str, *, force: bool = False
    ) -> ProjectionStatus:
        """Let a projection skip one event; raise a `CommandError` when it cannot."""
        ...


class SagaOperator(Protocol):
    """Lists, resumes, cancels and terminates the sagas of the context, of one tenant at a time.

    Each method raises `Unavailable` when Temporal is unavailable.
    """

    async def page(self, tenant: str, request: ListSagasRequest) -> ListSagasResponse:
        """Return a page of sagas, the newest first; raise `InvalidCommand` for an invalid page token."""
        ...

    async def get(self, tenant: str, id_: str) -> GetSagaResponse:
        """Return a saga with its steps; raise `NotFound` when the tenant has no such saga here."""
        ...

    async def resume(self, tenant: str, request: ResumeSagaRequest, actor: str) -> None:
        """Resume a stuck saga; raise a `CommandError` when it cannot be resumed."""
        ...

    async def cancel(self, tenant: str, request: CancelSagaRequest, actor: str) -> None:
        """Cancel a saga at its next step; raise a `CommandError` when it cannot be cancelled."""
        ...

    async def terminate(self, tenant: str, request: TerminateSagaRequest, actor: str) -> None:
        """End a saga at once and undo nothing; raise a `CommandError` when it has ended."""
        ...
