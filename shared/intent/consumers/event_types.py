"""The event types of a consumer: those that one instance handles, and those that belong to the consumer."""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from typing import Final

from intent.consumers.database import Share
from intent.consumers.keys import ConsumerKey
from intent.records import LogEntry

__all__ = ["EventTypes", "log_forgotten"]

_log: Final = logging.getLogger(__name__)


class EventTypes:
    """Which events an instance handles, and which only other instances of its consumer do.

    Args:
        wanted: Full names of those that it handles; empty: all.
    """

    def __init__(self, wanted: Collection[str] = ()) -> None:
        self._wanted = self._declared = frozenset(wanted)

    @property
    def read(self) -> Sequence[str]:
        """The types that are to be read; empty: all."""
        return sorted(self._wanted | self._declared) if self._wanted and self._declared else ()

    def declare(self, declared: Collection[str]) -> bool:
        """Note which types belong to the consumer, empty: all; return whether they have changed."""
        before, self._declared = self._declared, frozenset(declared)
        return before != self._declared

    def cover(self, declared: Collection[str]) -> bool:
        """Return whether the instance handles all of some types."""
        return not self._wanted or (bool(declared) and self._wanted >= frozenset(declared))

    def wants(self, entry: LogEntry) -> bool:
        """Return whether the instance handles an event."""
        return not self._wanted or entry.type in self._wanted

    def is_foreign(self, entry: LogEntry) -> bool:
        """Return whether only other instances of the consumer handle an event."""
        return not self.wants(entry) and (not self._declared or entry.type in self._declared)


def log_forgotten(key: ConsumerKey, share: Share, seconds: float) -> None:
    """Log the types that were forgotten, since their events are delivered to nobody from now on."""
    if share.forgotten:
        types = "every type" if "*" in share.forgotten else ", ".join(share.forgotten)
        _log.warning(
            "consumer %s: no instance has handled %s for %d s: such events pass from now on, and are not "
            "delivered to an instance that comes later",
            key,
            types,
            seconds,
        )
