"""The client for operators of projections."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

import grpc
from intent_contracts.intent.v1 import (
    ListProjectionsRequest,
    ListProjectionsResponse,
    ProjectionStatus,
    RebuildProjectionRequest,
    RebuildProjectionResponse,
    SkipEventRequest,
    SkipEventResponse,
)

from intent.client.callers import Renewals
from intent.client.connection import Connection
from intent.client.retries import platform_error

__all__ = ["ProjectionsClient"]

_PROJECTIONS: Final = "/intent.v1.Projections"


class ProjectionsClient:
    """Lists and repairs the projections of a context; the caller needs the role ``operator``."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def list(self) -> ListProjectionsResponse:
        """Return the status of each projection and the position of the log."""
        return await self._connection.call(
            f"{_PROJECTIONS}/ListProjections", ListProjectionsRequest(), ListProjectionsResponse
        )

    async def rebuild(self, name: str, *, reason: str = "") -> AsyncIterator[RebuildProjectionResponse]:
        """Rebuild a projection and yield the progress until it is done; the reason is recorded.

        When the token expires on the way, the rebuild that goes on is watched with another one.

        Raises:
            NotFound: There is no such projection.
            CommandError: The connection was lost, there is no other token, or the rebuild failed; it is not
                begun again.
        """
        request = RebuildProjectionRequest(name=name, reason=reason)
        method = f"{_PROJECTIONS}/RebuildProjection"
        renewals = Renewals(self._connection.caller)
        while True:
            stream = await self._connection.stream(method, request, RebuildProjectionResponse)
            try:
                async for progress in stream.call:
                    yield progress
                return
            except grpc.aio.AioRpcError as error:
                problem = platform_error(error)
                if not await renewals.renewed(problem, stream.authorization):
                    raise problem from None
                if "accepted" in problem.metadata and (over := await self._over(name)):
                    yield over
                    return
            finally:
                stream.call.cancel()

    async def _over(self, name: str) -> RebuildProjectionResponse | None:
        """Return the last progress of a rebuild that nobody watched to its end; None: it goes on."""
        answer = await self.list()
        for status in answer.projections:
            if status.name == name and not status.rebuilding:
                return RebuildProjectionResponse(position=status.position, head=answer.head, done=True)
        return None

    async def skip(self, name: str, position: int, reason: str, *, force: bool = False) -> ProjectionStatus:
        """Let a projection skip the event at a position; the reason is recorded.

        Args:
            name: The projection.
            position: The position of the event.
            reason: Why.
            force: True to skip an event that the projection does not fail on.

        Raises:
            CommandError: There is no such projection, or it has applied the event, or there is no such
                event, or the projection does not fail on it and `force` is False.
        """
        request = SkipEventRequest(name=name, position=position, reason=reason, force=force)
        response = await self._connection.call(f"{_PROJECTIONS}/SkipEvent", request, SkipEventResponse)
        return response.status
