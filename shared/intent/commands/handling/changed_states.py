"""What happens after a handler has changed the state of its aggregate in place."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Final

from intent.commands.work import Group, Work
from intent.model import StateWatch

__all__ = ["ChangedStates"]

_log: Final = logging.getLogger(__name__)

_QUIET: Final = 60.0
"""How long, in seconds, to log no more of the same command; each of them is counted."""


class ChangedStates:
    """Reports handlers that change their aggregate, and drops the copies that cannot be trusted any more.

    Args:
        watch: Finds the changes. One that is strict makes each an error of its command instead.
        count: Called with the type of each command that was found out.

    Attributes:
        watch: Finds the changes.
    """

    def __init__(
        self, watch: StateWatch | None = None, count: Callable[[str], None] = lambda _: None
    ) -> None:
        self.watch = watch or StateWatch()
        self._count = count
        self._logged: dict[str, float] = {}

    def drop(self, group: Group, work: Work) -> bool:
        """Report it if the handler of a command has changed the copy of its group.

        The change was undone and what was decided stands. If the copy may have been changed before without
        being noticed, it is dropped: the commands that are left, and later batches, load it.

        Returns:
            Whether it was dropped.
        """
        aggregate = group.aggregate
        if aggregate is None or not aggregate._fault:
            return False
        self._report(work, aggregate._fault)
        aggregate._fault = ""
        if aggregate._unseen:
            group.aggregate = None
            group.fresh = True
        return aggregate._unseen

    def _report(self, work: Work, changed: str) -> None:
        type_ = work.request.contract.type
        self._count(type_)
        now = time.monotonic()
        if now - self._logged.get(type_, -_QUIET) < _QUIET:
            return
        self._logged[type_] = now
        _log.error(
            "the handler of %s changed %s of %s, which only appliers may; this was undone",
            type_,
            changed,
            work.key.aggregate_type,
            extra={"tenant": work.key.tenant, "command_id": work.envelope.command_id},
        )
