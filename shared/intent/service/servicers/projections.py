"""The service intent.v1.Projections: for operators."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from google.protobuf.message import Message
from intent_contracts.intent.v1 import (
    ListProjectionsRequest,
    ListProjectionsResponse,
    RebuildProjectionRequest,
    SkipEventRequest,
    SkipEventResponse,
)

from intent.auditing import Auditor
from intent.consumers import EVERY_TENANT
from intent.service.calls import Call, Method, StreamMethod, read
from intent.service.protocols import ProjectionOperator
from intent.service.requests import action_entry

__all__ = ["PROJECTIONS", "ProjectionsService"]

PROJECTIONS: Final = "intent.v1.Projections"


@dataclass(frozen=True, slots=True)
class ProjectionsService:
    """Lists, rebuilds and unblocks the projections; they serve all tenants at once.

    Attributes:
        operator: Performs the operations.
        head: Returns the position of the log.
        tenant_at: Returns the tenant of the event at a position, or `EVERY_TENANT`.
        roles: A caller needs one of these.
        audit: Records what they do.
    """

    operator: ProjectionOperator
    head: Callable[[], Awaitable[int]]
    tenant_at: Callable[[int], Awaitable[str]]
    roles: frozenset[str]
    audit: Auditor

    def methods(self) -> Iterator[Method | StreamMethod]:
        """Yield the methods of the service."""
        concerns: Any = {"roles": self.roles, "needs_tenant": False, "every_tenant": True}
        yield Method(f"/{PROJECTIONS}/ListProjections", self._list, **concerns)
        yield StreamMethod(f"/{PROJECTIONS}/RebuildProjection", self._rebuild, **concerns)
        yield Method(f"/{PROJECTIONS}/SkipEvent", self._skip, **concerns)

    async def _list(self, data: bytes, call: Call) -> Message:
        read(ListProjectionsRequest, data)
        return ListProjectionsResponse(projections=await self.operator.statuses(), head=await self.head())

    async def _rebuild(self, data: bytes, call: Call) -> None:
        request = read(RebuildProjectionRequest, data)
        await self.audit.acted(action_entry(call, request, EVERY_TENANT))
        async for progress in self.operator.rebuild(request.name):
            await call.write(progress.SerializeToString())

    async def _skip(self, data: bytes, call: Call) -> Message:
        request = read(SkipEventRequest, data)
        await self.audit.acted(action_entry(call, request, await self.tenant_at(request.position)))
        status = await self.operator.skip(
            request.name, request.position, request.reason, call.identity.actor, force=request.force
        )
        return SkipEventResponse(status=status)
