"""What becomes of each refusal: the one place that learns of all of them."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Final

from intent.auditing import REFUSAL, AuditEntry, AuditLog, Auditor
from intent.background import Background
from intent.escaping import escaped
from intent.origin import is_tenant
from intent.settings.config import Settings
from intent.telemetry.metrics import Metrics
from intent.temporal.signing import Refusal, log_refusal

__all__ = ["Refusals", "recorded_refusals", "warn_without_keys"]

_log: Final = logging.getLogger(__name__)
_LINES: Final = 20
_EVERY: Final = 10.0
"""Seconds in which so many are logged at most: who forges may do it a thousand times a second."""


class Refusals:
    """Counts, logs and records what comes from Temporal and is refused; made in the event loop.

    Args:
        metrics: Counts it.
        audit: Records it. It is not that of calls: who forges must not crowd out what callers were refused.
    """

    def __init__(self, metrics: Metrics, audit: Auditor) -> None:
        self._metrics = metrics
        self._audit = audit
        self._loop = asyncio.get_running_loop()
        self._lock = threading.Lock()
        self._since = 0.0
        self._lines = 0

    def __call__(self, refusal: Refusal) -> None:
        """Take note of a refusal, in any thread."""
        self._metrics.temporal_refused(refusal.reason, refusal.place)
        with suppress(RuntimeError):  # The loop has ended, and the process with it.
            note = partial(self._audit.refused, _entry(refusal), known=False)
            self._loop.call_soon_threadsafe(note)
        with self._lock:
            more = self._more()
        if more:
            _log.warning("%d more from Temporal were refused, which the metric and the audit count", more)
        if self._lines <= _LINES:
            log_refusal(refusal)

    def _more(self) -> int:
        """Count a line; return how many were left out of the time that has passed with this one."""
        self._lines += 1
        moment = time.monotonic()
        if moment - self._since < _EVERY:
            return 0
        left_out = max(0, self._lines - 1 - _LINES)
        self._since, self._lines = moment, 1
        return left_out


@asynccontextmanager
async def recorded_refusals(
    metrics: Metrics, log: AuditLog, background: Background
) -> AsyncIterator[Refusals]:
    """Count and record refusals for the duration of the context manager.

    Args:
        metrics: Counts them.
        log: Where they are recorded.
        background: Runs what records them.
    """
    audit = Auditor(log, background)
    try:
        yield Refusals(metrics, audit)
    finally:
        await asyncio.sleep(0)  # Those of other threads are on their way.
        await audit.close()


def _entry(refusal: Refusal) -> AuditEntry:
    """Return the entry of the audit; the tenant is the one that the workflow's id names."""
    facts = {"workflow_id": refusal.workflow_id, "message": refusal.what, "key": refusal.key}
    return AuditEntry(
        REFUSAL,
        f"temporal/{escaped(refusal.place)}",
        tenant=_tenant_of(refusal.workflow_id),
        reason=refusal.reason,
        target=json.dumps({name: text for name, text in facts.items() if text}, sort_keys=True),
    )


def _tenant_of(workflow_id: str) -> str:
    """Return the tenant in the id of a saga; empty: there is none."""
    type_, _, rest = workflow_id.partition("/")
    tenant = rest.partition("/")[0]
    return tenant if "." in type_ and is_tenant(tenant) else ""


def warn_without_keys(settings: Settings) -> None:
    """Warn that whoever writes to Temporal's namespace is believed, where that is not development."""
    if not settings.temporal_keys and not settings.dev:
        _log.warning(
            "what comes from Temporal carries no MAC, and whoever writes to the namespace %s is believed: "
            "set INTENT_TEMPORAL_KEYS",
            settings.temporal_namespace,
        )
