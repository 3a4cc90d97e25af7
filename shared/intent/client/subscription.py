"""Following the events of a context without gaps and without repeats."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
from intent_contracts.intent.v1 import EventFilter, RecordedEvent, SubscribeRequest, SubscribeResponse

from intent.client.retries import RetryPolicy, platform_error
from intent.errors import Overloaded, Unavailable

__all__ = ["subscribe"]

Opener = Callable[[SubscribeRequest], Any]


async def subscribe(
    open_stream: Opener,
    policy: RetryPolicy,
    *,
    after: int,
    epoch: str,
    follow: bool,
    from_now: bool,
    where: EventFilter | None,
) -> AsyncIterator[RecordedEvent]:
    """Yield events in order, each once, resuming after each lost connection.

    Args:
        open_stream: Opens the stream of one subscription.
        policy: When to retry; a lost connection is retried forever.
        after: The position after which to start.
        epoch: The epoch to which it belongs; empty: not known.
        follow: True to continue with new events, false to end at the head of the log.
        from_now: True to start at the head of the log.
        where: Which events; None: all of the tenant.

    Raises:
        CommandError: An error that a retry would not change. `Rejected` with the reason POSITION_LOST: the
            log was restored or a standby promoted, and has lost events that were yielded.
    """
    position, failures = after, 0
    while True:
        request = SubscribeRequest(
            after_position=position, after_epoch=epoch, follow=follow, filter=where, from_now=from_now
        )
        try:
            async for response in _responses(open_stream(request)):
                # The first message contains the position of "now"; a resumption starts there.
                failures, from_now = 0, False
                epoch = response.event.epoch or response.epoch
                if response.position > position:
                    position = response.position
                    if response.HasField("event"):
                        yield response.event
        except grpc.aio.AioRpcError as rpc_error:
            error = platform_error(rpc_error)
            if not isinstance(error, Unavailable | Overloaded):
                raise error from None
            failures += 1
            await asyncio.sleep(policy.wait(failures, error))
        else:
            if not follow:
                return


async def _responses(call: Any) -> AsyncIterator[SubscribeResponse]:
    """Yield a stream's messages, and cancel the stream when the iteration ends early."""
    try:
        async for response in call:
            yield response
    finally:
        call.cancel()
