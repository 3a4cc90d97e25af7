"""The client for operators of the audit."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Final

from intent_contracts.intent.v1 import (
    AuditKind,
    AuditRecord,
    GetAuditHeadsRequest,
    GetAuditHeadsResponse,
    ListAuditRequest,
    ListAuditResponse,
)

from intent.client.connection import Connection

__all__ = ["AuditClient"]

_AUDIT: Final = "/intent.v1.Audit"
_PAGE: Final = 1000


class AuditClient:
    """Lists who did, or was refused, what; the caller needs the role ``operator`` for every tenant."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def every(
        self,
        *,
        kind: AuditKind.ValueType = AuditKind.AUDIT_KIND_UNSPECIFIED,
        actor: str = "",
        tenant: str = "",
        since: datetime | None = None,
        until: datetime | None = None,
        newest_first: bool = False,
        limit: int = 0,
    ) -> AsyncIterator[AuditRecord]:
        """Yield entries page by page; what is empty or None does not narrow.

        Args:
            kind: Only of this kind.
            actor: Only of this actor.
            tenant: Only of this tenant.
            since: Only those recorded at this time or later.
            until: Only those recorded before.
            newest_first: Whether to begin with the newest.
            limit: The most entries; 0: all.
        """
        request = ListAuditRequest(kind=kind, actor=actor, tenant_id=tenant, newest_first=newest_first)
        if since is not None:
            request.since.FromDatetime(since)
        if until is not None:
            request.until.FromDatetime(until)
        left = limit
        while True:
            request.page_size = min(_PAGE, left) if limit else _PAGE
            page = await self._connection.call(f"{_AUDIT}/ListAudit", request, ListAuditResponse)
            for entry in page.entries:
                yield entry
            left -= len(page.entries)
            request.page_token = page.next_page_token
            if not page.next_page_token or (limit and left <= 0):
                return

    async def heads(self) -> GetAuditHeadsResponse:
        """Return where the log and the audit end, with a digest over all that they hold."""
        return await self._connection.call(
            f"{_AUDIT}/GetAuditHeads", GetAuditHeadsRequest(), GetAuditHeadsResponse
        )
