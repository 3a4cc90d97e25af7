"""The epochs of a log: it is another one after a restore, and after the promotion of a standby.

A log that goes back keeps its positions and versions, and gives them to other events. So whoever remembers
one remembers the epoch in which it was reported, and starts anew when another epoch begins.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, NamedTuple

from intent.errors import Rejected, StoreUnavailable

__all__ = ["Epoch", "LogEpochs"]

_log: Final = logging.getLogger(__name__)


class Epoch(NamedTuple):
    """One epoch of a log.

    Attributes:
        id: Its id, a UUID.
        began_after: The last position of the log when it began: of what the epochs before it had beyond
            that, nothing is left.
        incarnation: What distinguishes its server from the one before, as far as the server can say at once.
    """

    id: str
    began_after: int = 0
    incarnation: int | None = None


class LogEpochs:
    """The epochs of one log, as far as this process knows, the current one last.

    Args:
        name: The log's name, for messages.
        known: The epochs; none before the store was asked.
        refresh: Asks the store for them, and calls `learn`; None: they never change.

    Attributes:
        reported: The last position that the log has reported in the current epoch.
        begun: How many epochs have begun while the process ran.
        lost: How many positions, which the log had reported to the process, it has lost with that.
    """

    def __init__(
        self, name: str, known: Sequence[Epoch] = (), refresh: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        self.reported = 0
        self.begun = self.lost = 0
        self._name = name
        self._known = tuple(known)
        self._refresh = refresh
        self._calls: list[Callable[[], None]] = []

    @property
    def current(self) -> str:
        """The id of the current epoch; empty before the store was asked."""
        return self._known[-1].id if self._known else ""

    @property
    def incarnation(self) -> int | None:
        """What the server of the current epoch says at once; None: not known."""
        return self._known[-1].incarnation if self._known else None

    def on_begin(self, call: Callable[[], None]) -> None:
        """Call back, before anything else is asked of the log, whenever another epoch has begun."""
        self._calls.append(call)

    def learn(self, epochs: Sequence[Epoch]) -> None:
        """Take the epochs that the store has, the current one last; notice when it is another one.

        A standby has none to tell.
        """
        if not epochs:
            return
        before, reported = self.current, self.reported
        self._known = tuple(epochs)
        if before in ("", self.current):
            return
        self.reported = 0
        self.begun += 1
        began_after = self._known[-1].began_after
        self.lost += max(0, reported - began_after)
        _log.warning(
            "the log of %s has begun another epoch after position %d, in a restore or a promotion; this "
            "process knew it up to %d, and starts anew from what is there: epoch %s",
            *(self._name, began_after, reported, self.current),
        )
        for call in self._calls:
            call()

    def check(self, epoch: str) -> None:
        """Check that an epoch on which something rests is the current one; empty: it rests on none.

        Raises:
            StoreUnavailable: It is over.
        """
        if epoch and epoch != self.current:
            raise StoreUnavailable("the log was restored or a standby promoted meanwhile; try again")

    async def require(self, position: int, epoch: str) -> None:
        """Require that a position which was handed out in an epoch still means the same.

        Raises:
            Rejected: The log has gone back behind it since, or never had the epoch.
            StoreUnavailable: The store is unavailable.
        """
        if not position or epoch in ("", self.current):
            return
        if self._refresh is not None and all(known.id != epoch for known in self._known):
            # Another process may have noticed first that an epoch has begun.
            await self._refresh()
            if epoch == self.current:
                return
        last = self._last_of(epoch)
        if last is None or position > last:
            # Where the log ends says how much all tenants do, so it is not told.
            raise Rejected(
                "POSITION_LOST",
                f"position {position} was handed out before the log was restored or a standby promoted, and "
                "what the log had there is lost; forget what was read up to there, and begin again without a "
                "position or with one of now",
                metadata={"position": str(position), "epoch": epoch, "current_epoch": self.current},
            )

    def _last_of(self, epoch: str) -> int | None:
        """Return the last position of an epoch that is left; None when the log never had it."""
        for n, known in enumerate(self._known[:-1]):
            if known.id == epoch:
                return min(later.began_after for later in self._known[n + 1 :])
        return None
