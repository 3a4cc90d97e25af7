"""The client for operators of consumers."""

from __future__ import annotations

from typing import Final

from intent_contracts.intent.v1 import (
    DropParkedRequest,
    DropParkedResponse,
    ListConsumersRequest,
    ListConsumersResponse,
    ListParkedRequest,
    ListParkedResponse,
    RemoveConsumerRequest,
    RemoveConsumerResponse,
    ReplayParkedRequest,
    ReplayParkedResponse,
)

from intent.client.connection import Connection

__all__ = ["ConsumersClient"]

_CONSUMERS: Final = "/intent.v1.Consumers"
_PARKED_LIMIT: Final = 1000
"""How many parked events one call returns at most."""


class ConsumersClient:
    """Lists and repairs the consumers of a context's events.

    The caller needs the role ``consumer``, ``service`` or ``operator`` and sees the consumers of its
    tenant; with the role ``consumer-all`` it sees all.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def list(self) -> ListConsumersResponse:
        """Return the progress of each consumer, in as many calls as it takes."""
        answer, token = ListConsumersResponse(), b""
        while True:
            request = ListConsumersRequest(page_token=token)
            page = await self._connection.call(f"{_CONSUMERS}/ListConsumers", request, ListConsumersResponse)
            answer.consumers.extend(page.consumers)
            token = page.next_page_token
            if not token:
                return answer

    async def remove(self, consumer: str, *, all_tenants: bool = False, reason: str = "") -> None:
        """Remove a consumer with its checkpoints and parked events; the reason is recorded.

        Args:
            consumer: Its name.
            all_tenants: True: the consumer for all tenants, not the one of the caller's own.
            reason: Why.

        Raises:
            NotFound: There is no such consumer.
            Rejected: It has instances.
        """
        request = RemoveConsumerRequest(consumer=consumer, all_tenants=all_tenants, reason=reason)
        await self._connection.call(f"{_CONSUMERS}/RemoveConsumer", request, RemoveConsumerResponse)

    async def parked(
        self,
        consumer: str = "",
        *,
        aggregate_type: str = "",
        aggregate_id: str = "",
        position: int = 0,
        limit: int = 0,
        page_token: bytes = b"",
    ) -> ListParkedResponse:
        """Return parked events, in as many calls as it takes; filters that are empty or 0 do not apply.

        Args:
            consumer: Only of this consumer.
            aggregate_type: Only of this kind of aggregate.
            aggregate_id: Only of this aggregate.
            position: Only the event at this position.
            limit: The most events; 0: 1,000. ``more`` in the answer says whether there are others, and
                ``page_token`` continues with them.
            page_token: Where to continue: an earlier answer's ``next_page_token``.
        """
        wanted = limit or _PARKED_LIMIT
        answer = ListParkedResponse(next_page_token=page_token)
        while True:
            request = ListParkedRequest(
                consumer=consumer,
                aggregate_type=aggregate_type,
                aggregate_id=aggregate_id,
                position=position,
                limit=min(_PARKED_LIMIT, wanted - len(answer.parked)),
                page_token=answer.next_page_token,
            )
            page = await self._connection.call(f"{_CONSUMERS}/ListParked", request, ListParkedResponse)
            answer.parked.extend(page.parked)
            answer.more, answer.next_page_token = page.more, page.next_page_token
            if not page.next_page_token or len(answer.parked) >= wanted:
                return answer

    async def replay(
        self,
        consumer: str,
        aggregate_type: str,
        aggregate_id: str,
        *,
        tenant: str = "",
        all_tenants: bool = False,
        reason: str = "",
    ) -> int:
        """Deliver a parked stream again and return the number of its events; the reason is recorded.

        Args:
            consumer: The consumer's name.
            aggregate_type: The aggregate's short name.
            aggregate_id: The aggregate's id.
            tenant: The tenant to which the aggregate belongs; empty: the caller's own.
            all_tenants: True: the consumer for all tenants, not the one of the caller's own.
            reason: Why.

        Raises:
            NotFound: It is not parked.
        """
        request = ReplayParkedRequest(
            consumer=consumer,
            aggregate_type=aggregate_type,
            aggregate_id=aggregate_id,
            tenant_id=tenant,
            all_tenants=all_tenants,
            reason=reason,
        )
        response = await self._connection.call(f"{_CONSUMERS}/ReplayParked", request, ReplayParkedResponse)
        return response.events

    async def drop(self, consumer: str, position: int, reason: str, *, all_tenants: bool = False) -> None:
        """Drop a parked event; the reason is recorded.

        Args:
            consumer: The consumer's name.
            position: The event's position.
            reason: Why.
            all_tenants: True: the consumer for all tenants, not the one of the caller's own.

        Raises:
            NotFound: It is not parked.
        """
        request = DropParkedRequest(
            consumer=consumer, position=position, reason=reason, all_tenants=all_tenants
        )
        await self._connection.call(f"{_CONSUMERS}/DropParked", request, DropParkedResponse)
