"""The service intent.v1.Audit: for operators, and for whoever checks what they did."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal

from google.protobuf.message import Message
from intent_contracts.intent.v1 import (
    AuditHead,
    AuditKind,
    AuditRecord,
    GetAuditHeadsRequest,
    GetAuditHeadsResponse,
    ListAuditRequest,
    ListAuditResponse,
)

from intent.auditing import ACTION, REFUSAL, AuditDatabase, AuditFilter, AuditRow, Head
from intent.envelopes import timestamp
from intent.errors import InvalidCommand, Violation
from intent.service.calls import Call, Method, read
from intent.service.servicers.pages import fitting, page_token, parse_page_token

__all__ = ["AUDIT", "AuditService"]

AUDIT: Final = "intent.v1.Audit"
_PAGE: Final = 100
_KINDS: Final = {AuditKind.AUDIT_KIND_ACTION: ACTION, AuditKind.AUDIT_KIND_REFUSAL: REFUSAL}
_NUMBERS: Final = {kind: number for number, kind in _KINDS.items()}


@dataclass(frozen=True, slots=True)
class AuditService:
    """Lists what is in the audit, of all tenants.

    Attributes:
        context: The context's name.
        database: Reads the audit.
        roles: A caller needs one of these.
    """

    context: str
    database: AuditDatabase
    roles: frozenset[str]

    def methods(self) -> Iterator[Method]:
        """Yield the methods of the service."""
        concerns: Any = {"roles": self.roles, "needs_tenant": False, "every_tenant": True}
        yield Method(f"/{AUDIT}/ListAudit", self._list, **concerns)
        yield Method(f"/{AUDIT}/GetAuditHeads", self._heads, **concerns)

    async def _list(self, data: bytes, call: Call) -> Message:
        request = read(ListAuditRequest, data)
        most = request.page_size or _PAGE
        token = parse_page_token(request.page_token, (int,))
        edge = {} if token is None else {"before" if request.newest_first else "after": token[0]}
        where = AuditFilter(
            kind=_KINDS.get(request.kind),
            actor=request.actor or None,
            tenant=request.tenant_id or None,
            since=_time(request, "since"),
            until=_time(request, "until"),
        )
        rows = await self.database.read(where, most=most + 1, newest=request.newest_first, **edge)
        page = fitting(map(_record, rows[:most]))
        last = page_token((page[-1].position,)) if len(page) < len(rows) else b""
        return ListAuditResponse(entries=page, next_page_token=last)

    async def _heads(self, data: bytes, call: Call) -> Message:
        read(GetAuditHeadsRequest, data)
        heads = await self.database.heads()
        events, audit = _head(heads["events"]), _head(heads["audit"])
        return GetAuditHeadsResponse(context=self.context, events=events, audit=audit)


def _head(head: Head) -> AuditHead:
    return AuditHead(position=head.chained, digest=head.digest, link=head.number)


def _time(request: ListAuditRequest, field: Literal["since", "until"]) -> datetime | None:
    if not request.HasField(field):
        return None
    try:
        moment: datetime = getattr(request, field).ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError):
        rule = "must be a time between the years 1 and 9999"
        raise InvalidCommand(
            "CONTRACT_VIOLATED", f"{field} {rule}", violations=[Violation(field, rule)]
        ) from None
    return moment


def _record(row: AuditRow) -> AuditRecord:
    return AuditRecord(
        position=row.position,
        recorded_at=timestamp(row.recorded_at),
        kind=_NUMBERS[row.kind],
        method=row.method,
        actor=row.actor,
        tenant_id=row.tenant,
        peer=row.peer,
        reason=row.reason,
        target=row.target,
        correlation_id=row.correlation_id,
        times=row.times,
        since=timestamp(row.since),
    )
