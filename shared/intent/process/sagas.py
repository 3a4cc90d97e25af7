"""The sagas of a context, as its process lists them and remembers their ends."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

from temporalio.client import Client
from temporalio.service import RPCError

from intent.background import Background
from intent.consumers import ConsumerServing
from intent.errors import StoreUnavailable
from intent.model import BoundContext
from intent.saga_host import EndRecorder, SagaDirectory, SagaFollower
from intent.store.postgres import PostgresEventStore, PostgresSagaEnds

__all__ = ["followed_log", "recorded_ends", "saga_directory"]

_LONGEST: Final = 60.0
"""The longest pause, in seconds, after a failure: nobody waits for the ends of sagas."""
_REJOIN: Final = 1.0
"""The longest pause, in seconds, until events go on to sagas after the database was unavailable."""


def saga_directory(context: BoundContext, client: Client, store: PostgresEventStore) -> SagaDirectory:
    """Return the directory of a context's sagas."""
    ends = PostgresSagaEnds(store.pool, context.name)
    return SagaDirectory(context.name, _types(context), client, ends=ends)


@asynccontextmanager
async def recorded_ends(
    context: BoundContext, client: Client, store: PostgresEventStore, background: Background
) -> AsyncIterator[PostgresSagaEnds]:
    """Record the ends of a context's sagas for the duration of the context manager."""
    ends = PostgresSagaEnds(store.pool, context.name)
    if not context.sagas:
        yield ends
        return
    recorder = EndRecorder(client, context.name, _types(context), ends)
    outages = (RPCError, StoreUnavailable)
    recording = background.start("saga ends", recorder.run, outages=outages, longest=_LONGEST)
    try:
        yield ends
    finally:
        await recording.stop()


@asynccontextmanager
async def followed_log(
    follower: SagaFollower, consumers: ConsumerServing, background: Background
) -> AsyncIterator[None]:
    """Bring events of the log to sagas for the duration of the context manager, if any saga listens."""
    if not follower.types:
        yield
        return
    work = partial(follower.run, consumers)
    following = background.start("events to sagas", work, outages=(StoreUnavailable,), longest=_REJOIN)
    try:
        yield
    finally:
        await following.stop()


def _types(context: BoundContext) -> list[str]:
    return [saga.type for saga in context.registry.sagas.values() if saga.context == context.name]
