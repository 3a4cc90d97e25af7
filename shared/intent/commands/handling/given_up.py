"""Commands that took too long, for as long as their batch may be handled again."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from intent.errors import CommandError
from intent.records import CommandKey

__all__ = ["GivenUp"]

_MOST: Final = 1_000


class GivenUp:
    """The outcomes of commands that took too long, by workflow.

    The store keeps no outcome of a defect. Without them a batch with several such commands would take
    longer than its activity may, be handled again, and come no further.
    """

    def __init__(self) -> None:
        self._errors: OrderedDict[tuple[str, CommandKey], CommandError] = OrderedDict()

    def note(self, workflow_id: str, key: CommandKey, error: CommandError) -> None:
        """Note that a command of a workflow is not to be tried again."""
        if workflow_id:
            self._errors[workflow_id, key] = error
            if len(self._errors) > _MOST:
                self._errors.popitem(last=False)

    def error_of(self, workflow_id: str, key: CommandKey) -> CommandError | None:
        """Return why a command of a workflow is not to be tried again; None when it may be."""
        return self._errors.get((workflow_id, key)) if self._errors else None
