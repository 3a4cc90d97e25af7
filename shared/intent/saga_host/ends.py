"""The ends of sagas, known for longer than Temporal remembers them.

Temporal forgets a workflow some days after its end. An event that comes again after that, with a command
that is repeated or from a log that is delivered once more, finds no saga and would begin it anew, long
after it was completed and paid. So the ends are copied into the context's own schema, where they stay as
long as the ids of commands do, and a saga that begins with an old event asks there first.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Collection, Iterable
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

from intent_contracts.intent.v1 import GetSagaRequest, SagaReport, SagaStatus
from temporalio import activity
from temporalio.client import Client

from intent.saga_host.listing import end_of, never_started, of_context, quoted
from intent.store.postgres import SagaEnd
from intent.temporal import names

__all__ = ["EndActivity", "EndRecorder", "NoEnds", "SagaEnds"]

_EVERY: Final = 60.0
_OVERLAP: Final = timedelta(minutes=2)
"""How far back each look reaches before the last: lists lag, and clocks differ. It is listed twice."""
_PAGE: Final = 500


class SagaEnds(Protocol):
    """Keeps which sagas of a context are over."""

    async def record(self, ends: Iterable[SagaEnd]) -> None:
        """Record ends; what was recorded of a saga before stays."""
        ...

    async def end_of(self, tenant: str, saga: str) -> SagaEnd | None:
        """Return how a saga ended; None while that is not known."""
        ...

    async def known_up_to(self) -> datetime | None:
        """Return up to when all ends are recorded; None before the first time."""
        ...

    async def set_known_up_to(self, moment: datetime) -> None:
        """Note up to when all ends are recorded."""
        ...


class NoEnds:
    """Keeps nothing, where there is no database."""

    async def record(self, ends: Iterable[SagaEnd]) -> None:
        """Keep nothing."""

    async def end_of(self, tenant: str, saga: str) -> SagaEnd | None:
        """Know nothing."""
        return None

    async def known_up_to(self) -> datetime | None:
        """Know nothing."""
        return None

    async def set_known_up_to(self, moment: datetime) -> None:
        """Keep nothing."""


class EndActivity:
    """The activity by which a saga asks whether it has ended before.

    Args:
        ends: The ends of the context's sagas.
    """

    def __init__(self, ends: SagaEnds) -> None:
        self._ends = ends

    @activity.defn(name=names.SAGA_END)
    async def end(self, request: GetSagaRequest) -> SagaReport:
        """Return the report of a saga that is over; an empty one when it is not."""
        _, tenant, _ = request.id.split("/", 2)
        known = await self._ends.end_of(tenant, request.id)
        if known is None:
            return SagaReport()
        status = SagaStatus.ValueType(known.status)
        words = f"it was {names.saga_status(status)} on {known.ended_at:%Y-%m-%d}, and does not begin again"
        return SagaReport(status=status, failure_reason="SAGA_OVER", failure_detail=words)


class EndRecorder:
    """Copies the ends of a context's sagas out of Temporal, every minute.

    All of them are found in Temporal's visibility, whoever ended them: the saga, an operator, or somebody
    with Temporal's own tools. Every process of a context does it; recording an end twice is harmless.

    Args:
        client: The Temporal client.
        context: The context.
        types: The full names of its sagas' messages.
        ends: Where the ends are kept.
    """

    def __init__(self, client: Client, context: str, types: Collection[str], ends: SagaEnds) -> None:
        self._client = client
        self._query = f'{of_context(context, types)} AND ExecutionStatus != "Running"'
        self._ends = ends

    async def run(self) -> None:
        """Record the ends until cancelled.

        Raises:
            RPCError: Temporal is unavailable.
            StoreUnavailable: PostgreSQL is unavailable.
        """
        while True:
            await self.record()
            await asyncio.sleep(_EVERY * random.uniform(0.8, 1.2))  # noqa: S311 - spreads processes

    async def record(self) -> int:
        """Record the ends since the last time; return how many there were.

        Raises:
            RPCError: Temporal is unavailable.
            StoreUnavailable: PostgreSQL is unavailable.
        """
        began, known = datetime.now(UTC), await self._ends.known_up_to()
        query = self._query
        if known is not None:
            query += f" AND CloseTime >= {quoted((known - _OVERLAP).isoformat())}"
        count = 0
        listing = self._client.list_workflows(query, page_size=_PAGE)
        while True:
            await listing.fetch_next_page()
            ended = [end_of(each) for each in listing.current_page or () if not never_started(each)]
            await self._ends.record(ended)
            count += len(ended)
            if not listing.next_page_token:
                break
        await self._ends.set_known_up_to(began)
        return count
