"""Types of events that callers ask for and that the context does not record, as far as it knows."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Final

from intent.contracts import Registry

__all__ = ["UnknownEvents"]

_log: Final = logging.getLogger("intent.service")
_MOST_NOTED: Final = 1_000
"""How many names are remembered, so that callers cannot fill the memory or the log with them."""


class UnknownEvents:
    """Finds such types, and warns of each once.

    They are accepted: during a rollout a caller may know a contract before this process does.

    Args:
        registry: The contracts.
        context: The context. Events of others are never in its log.
    """

    def __init__(self, registry: Registry, context: str) -> None:
        self._known = {event.type for event in registry.events.values() if event.context == context}
        self._noted: set[str] = set()

    def among(self, types: Iterable[str]) -> list[str]:
        """Return those of the types that no contract of the context defines."""
        return [type_ for type_ in types if type_ not in self._known]

    def note(self, types: Iterable[str], who: str) -> None:
        """Log a warning of those that no contract defines.

        Args:
            types: Full names of events.
            who: Who asks for them, for the message.
        """
        for type_ in self.among(types):
            if type_ not in self._noted and len(self._noted) < _MOST_NOTED:
                self._noted.add(type_)
                _log.warning(
                    "%s asks for %s, which no contract of this context defines: nothing arrives unless "
                    "a newer release records it",
                    who,
                    type_[:200],
                )
