"""Following the events of a context without gaps and without repeats."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final

import grpc
from intent_contracts.intent.v1 import EventFilter, RecordedEvent, SubscribeRequest, SubscribeResponse

from intent.client.callers import Renewals
from intent.client.connection import Connection
from intent.client.retries import platform_error
from intent.errors import CommandError, Overloaded, Unavailable

__all__ = ["subscribe"]

_METHOD: Final = "/intent.v1.Events/Subscribe"


async def subscribe(
    connection: Connection,
    *,
    after: int,
    epoch: str,
    follow: bool,
    from_now: bool,
    where: EventFilter | None,
) -> AsyncIterator[RecordedEvent]:
    """Yield events in order, each once, resuming after each lost connection.

    Args:
        connection: Where to subscribe. A lost connection is retried forever, and an expired token renewed.
        after: The position after which to start.
        epoch: The epoch to which it belongs; empty: not known.
        follow: True to continue with new events, false to end at the head of the log.
        from_now: True to start at the head of the log.
        where: Which events; None: all of the tenant.

    Raises:
        CommandError: An error that a retry would not change. `Rejected` with the reason POSITION_LOST: the
            log was restored or a standby promoted, and has lost events that were yielded.
    """
    position, failures, used = after, 0, ""
    renewals = Renewals(connection.caller)
    while True:
        request = SubscribeRequest(
            after_position=position, after_epoch=epoch, follow=follow, filter=where, from_now=from_now
        )
        try:
            stream = await connection.stream(_METHOD, request, SubscribeResponse)
            used = stream.authorization
            async for response in _responses(stream.call):
                # The first message contains the position of "now"; a resumption starts there.
                failures, from_now = 0, False
                renewals.accepted()
                epoch = response.event.epoch or response.epoch
                if response.position > position:
                    position = response.position
                    if response.HasField("event"):
                        yield response.event
        except (grpc.aio.AioRpcError, Unavailable) as problem:
            error = await _unsolved(problem, renewals, used)
            if error is not None:
                failures += 1
                await asyncio.sleep(connection.policy.wait(failures, error))
        else:
            if not follow:
                return


async def _unsolved(
    problem: grpc.aio.AioRpcError | Unavailable, renewals: Renewals, used: str
) -> CommandError | None:
    """Return the error to wait out before the stream is opened again; None: it may be opened at once.

    Raises:
        CommandError: An error that a retry would not change.
    """
    error = problem if isinstance(problem, Unavailable) else platform_error(problem)
    if isinstance(error, Unavailable | Overloaded):
        return error
    try:
        if await renewals.renewed(error, used):
            return None
    except Unavailable as unavailable:
        return unavailable
    raise error from None


async def _responses(call: Any) -> AsyncIterator[SubscribeResponse]:
    """Yield a stream's messages, and cancel the stream when the iteration ends early."""
    try:
        async for response in call:
            yield response
    finally:
        call.cancel()
