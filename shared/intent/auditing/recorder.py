"""What a process records: actions before they are done, refusals soon after, and never too many."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from intent.auditing.entries import REFUSAL, AuditEntry, AuditLog
from intent.background import Background, BackgroundTask
from intent.errors import StoreUnavailable, Unavailable

__all__ = ["Auditor"]

_log: Final = logging.getLogger(__name__)
_INTERVAL: Final = 5.0
_GROUPS: Final = 64
_SHARE: Final = 4
"""One caller gets no more than this part of the groups."""
_STOPPING: Final = 5.0
"""Seconds that recording the last refusals may take when the process stops."""
_RETRY_MS: Final = 1000
_OTHERS: Final = "OTHER_REFUSALS"
"""The reason of the entry for the refusals of an interval that are too different to be told apart."""


@dataclass(slots=True)
class _Group:
    """Refusals that are equal in all but their time."""

    first: AuditEntry
    known: bool
    count: int
    since: datetime

    @property
    def key(self) -> tuple[str, ...]:
        """What refusals of one group share."""
        # Whoever is not known names any tenant.
        first, tenant = self.first, self.first.tenant if self.known else ""
        return first.method, first.actor, tenant, first.peer, first.reason


class Auditor:
    """Records what operators do and who is refused what.

    An action is recorded before it is done, and is not done when that fails. Refusals must not fill the
    table, nor cost the caller's database anything: equal ones of an interval become one entry with their
    number, and what would be more entries than a bound becomes one entry for all the rest. Nobody takes more
    than a quarter of them, so that nobody hides the refusals of others; those who are not known count as one.

    Args:
        log: Where entries are recorded.
        background: Runs what records refusals.
        interval: Seconds between two records of refusals.
        groups: The most entries of refusals in one interval, besides that for the rest.
        clock: Returns the time.

    Attributes:
        refusals: How many refusals there were.
        untold: How many of them are counted in the entry for the rest only.
    """

    def __init__(
        self,
        log: AuditLog,
        background: Background,
        *,
        interval: float = _INTERVAL,
        groups: int = _GROUPS,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.refusals = self.untold = 0
        self._log = log
        self._background = background
        self._interval = interval
        self._most = groups
        self._clock = clock
        self._groups: dict[tuple[str, ...], _Group] = {}
        self._some = asyncio.Event()
        self._task: BackgroundTask | None = None

    @property
    def pending(self) -> int:
        """How many refusals are not recorded yet."""
        return sum(group.count for group in self._groups.values())

    async def acted(self, entry: AuditEntry) -> None:
        """Record an action, which may then be done.

        Raises:
            Unavailable: It is not recorded, so it must not be done.
            InvalidCommand: A text cannot be kept.
        """
        try:
            await self._log.write([entry])
        except StoreUnavailable as error:
            raise Unavailable(
                "AUDIT_UNAVAILABLE",
                "nothing was done, because it cannot be recorded who did it: the database is unavailable; "
                "try again",
                retry_after_ms=_RETRY_MS,
            ) from error

    def refused(self, entry: AuditEntry, *, known: bool = True) -> None:
        """Note a refusal, to be recorded within the interval.

        Args:
            entry: The refusal.
            known: Whether the caller may act for the entry's tenant, and has not just named it.
        """
        self.refusals += 1
        self._note(_Group(entry, known, 1, self._clock()))
        if self._task is None or self._task.over:
            self._task = self._background.start("audit", self._record, outages=(StoreUnavailable,))
        self._some.set()

    async def close(self) -> None:
        """Record the refusals that are left, if the database lets it in time."""
        if self._task is not None:
            await self._task.stop()
        with suppress(StoreUnavailable, TimeoutError):
            async with asyncio.timeout(_STOPPING):
                await self.flush()
        if self._groups:
            _log.error("%d refusals are not in the audit: the database is unavailable", self.pending)

    async def flush(self) -> None:
        """Record the refusals that there are.

        Raises:
            StoreUnavailable: They are kept, to be recorded later.
        """
        groups, self._groups = self._groups, {}
        if not groups:
            return
        try:
            await self._log.write([_entry(group) for group in groups.values()])
        except BaseException:
            newer, self._groups = self._groups, groups
            for group in newer.values():
                self._note(group)
            raise

    async def _record(self) -> None:
        while True:
            await self._some.wait()
            await asyncio.sleep(self._interval)
            self._some.clear()
            try:
                await self.flush()
            except BaseException:
                self._some.set()
                raise

    def _note(self, group: _Group) -> None:
        if group.key not in self._groups and group.first.reason != _OTHERS and self._full(group.first.actor):
            self.untold += group.count
            group = replace(group, first=AuditEntry(REFUSAL, "", reason=_OTHERS))
        noted = self._groups.setdefault(group.key, group)
        if noted is not group:
            noted.count += group.count
            noted.since = min(noted.since, group.since)
            if noted.first.tenant != group.first.tenant:
                noted.first = replace(noted.first, tenant="")

    def _full(self, actor: str) -> bool:
        """Return whether there is no further group for a caller."""
        actors = [group.first.actor for group in self._groups.values() if group.first.reason != _OTHERS]
        return len(actors) >= self._most or actors.count(actor) >= max(1, self._most // _SHARE)


def _entry(group: _Group) -> AuditEntry:
    return replace(group.first, times=group.count, since=group.since)
