"""PostgreSQL, Temporal and a context process for a benchmark."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psutil
from intent.dev.platform import ContextService, LocalPlatform

CONTEXT = "orders"
PRODUCTION = {"INTENT_DEV": "false", "INTENT_IDENTITY_MODE": "dev"}
"""Settings with which a process does no more than in production, and still identifies callers by metadata."""


class Platform(LocalPlatform):
    """The platform on which the scenarios run.

    Temporal keeps its state in memory, which makes the baseline, nothing but Temporal, fastest.
    """

    def __init__(self) -> None:
        super().__init__(keep_workflows=False)

    target: str = ""

    @contextmanager
    def context(self) -> Iterator[ContextService]:
        """Run a context process for the duration of the context manager."""
        with self.service(CONTEXT, environment=PRODUCTION, log_level="warning") as service:
            self.target = service.target
            yield service


def rss_mib(service: ContextService) -> float:
    """Return the resident memory of a context process and its children, in MiB."""
    process = psutil.Process(service.process.pid)
    return float(sum(p.memory_info().rss for p in (process, *process.children(recursive=True)))) / 2**20
