"""Who did, or was refused, what; and proof that nothing recorded was changed since."""

from intent.auditing.database import AuditDatabase, AuditFilter, Link, SetBack, write_as_owner, write_over
from intent.auditing.entries import ACTION, REFUSAL, AuditEntry, AuditLog, AuditRow, MemoryAudit, host_of
from intent.auditing.heads import ExportedHeads, Head, heads_from, heads_text
from intent.auditing.recorder import Auditor
from intent.auditing.verifying import Finding, Verified, verify

__all__ = [
    "ACTION",
    "REFUSAL",
    "AuditDatabase",
    "AuditEntry",
    "AuditFilter",
    "AuditLog",
    "AuditRow",
    "Auditor",
    "ExportedHeads",
    "Finding",
    "Head",
    "Link",
    "MemoryAudit",
    "SetBack",
    "Verified",
    "heads_from",
    "heads_text",
    "host_of",
    "verify",
    "write_as_owner",
    "write_over",
]
