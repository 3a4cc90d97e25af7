"""Entries of the audit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple, Protocol
from urllib.parse import unquote

__all__ = ["ACTION", "REFUSAL", "AuditEntry", "AuditLog", "AuditRow", "MemoryAudit", "host_of"]

ACTION: Final = "action"
REFUSAL: Final = "refusal"


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One entry to record.

    Attributes:
        kind: `ACTION`: an operator was about to do something; `REFUSAL`: somebody had no right to.
        method: The method or command, e.g. ``/intent.v1.Projections/SkipEvent``.
        actor: Who; empty: a caller who did not prove it.
        tenant: The tenant on whose data, or ``*``: that of all tenants; of a caller who is not known, the one
            that it named. Empty: none.
        peer: From where, as far as the process sees: an address without port.
        reason: Why: the operator's words, or the reason of the refusal, e.g. ``ROLE_MISSING``.
        target: What it was about, as a JSON object.
        correlation_id: The id that everything which follows from one request shares, or empty.
        times: How many refusals it stands for, equal in all of the above.
        since: When the first of them was; None: now.
    """

    kind: str
    method: str
    actor: str = ""
    tenant: str = ""
    peer: str = ""
    reason: str = ""
    target: str = "{}"
    correlation_id: str = ""
    times: int = 1
    since: datetime | None = None


class AuditRow(NamedTuple):
    """An entry as it is recorded; the fields are in the order of the table's columns.

    Attributes:
        position: Its number; without gaps, in the order in which entries were recorded.
        tenant: See `AuditEntry`.
        kind: See `AuditEntry`.
        method: See `AuditEntry`.
        actor: See `AuditEntry`.
        peer: See `AuditEntry`.
        reason: See `AuditEntry`.
        target: See `AuditEntry`.
        correlation_id: See `AuditEntry`.
        times: See `AuditEntry`.
        since: See `AuditEntry`.
        recorded_at: When it was recorded.
    """

    position: int
    tenant: str
    kind: str
    method: str
    actor: str
    peer: str
    reason: str
    target: str
    correlation_id: str
    times: int
    since: datetime
    recorded_at: datetime


class AuditLog(Protocol):
    """Where entries are recorded; `AuditDatabase` is PostgreSQL's."""

    async def write(self, entries: Sequence[AuditEntry]) -> None:
        """Record entries, all or none.

        Raises:
            InvalidCommand: A text cannot be kept.
            StoreUnavailable: They are not recorded, or nobody knows.
        """
        ...


class MemoryAudit:
    """Keeps the entries in memory, for servers without a database.

    Attributes:
        entries: The entries.
    """

    def __init__(self) -> None:
        self.entries: list[AuditEntry] = []

    async def write(self, entries: Sequence[AuditEntry]) -> None:
        """See `AuditLog.write`."""
        self.entries += entries


def host_of(peer: str) -> str:
    """Return the address of a peer as gRPC writes it, e.g. ``ipv4:10.0.0.7:4711``, without its port."""
    kind, _, rest = peer.partition(":")
    if kind not in ("ipv4", "ipv6"):
        return peer
    return unquote(rest).rpartition(":")[0].strip("[]")
