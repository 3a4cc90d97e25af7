"""What becomes of each refusal: the one place that learns of all of them."""

from __future__ import annotations

import logging
import threading
import time
from typing import Final

from intent.settings.config import Settings
from intent.telemetry.metrics import Metrics
from intent.temporal.signing import Refusal, log_refusal

__all__ = ["Refusals", "warn_without_keys"]

_log: Final = logging.getLogger(__name__)
_LINES: Final = 20
_EVERY: Final = 10.0
"""Seconds in which so many are logged at most: who forges may do it a thousand times a second."""


class Refusals:
    """Counts and logs what comes from Temporal and is refused.

    Args:
        metrics: Counts it.
    """

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._lock = threading.Lock()
        self._since = 0.0
        self._lines = 0

    def __call__(self, refusal: Refusal) -> None:
        """Take note of a refusal, in any thread."""
        self._metrics.temporal_refused(refusal.reason, refusal.place)
        with self._lock:
            more = self._more()
        if more:
            _log.warning("%d more from Temporal were refused, which only the metric counts", more)
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


def warn_without_keys(settings: Settings) -> None:
    """Warn that whoever writes to Temporal's namespace is believed, where that is not development."""
    if not settings.temporal_keys and not settings.dev:
        _log.warning(
            "what comes from Temporal carries no MAC, and whoever writes to the namespace %s is believed: "
            "set INTENT_TEMPORAL_KEYS",
            settings.temporal_namespace,
        )
