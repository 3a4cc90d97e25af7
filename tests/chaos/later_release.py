"""A process of orders that is some releases later: each release writes two events in one more schema version.

The file that RELEASE_FILE names holds how many releases later it is, so that a process that is started
again may be another release. A release reads all versions up to its own, and leaves later ones to others.
"""

from __future__ import annotations

import os
from pathlib import Path

from intent.cli.app import main
from intent.contracts import Registry
from intent.model import BoundContext, Context

from ..support.releases import reading

_EVENTS = ("orders.v1.OrderPlaced", "orders.v1.LineChanged")
_bind = Context.bind


def _bind_later(self: Context, registry: Registry) -> BoundContext:
    return later(_bind(self, registry), int(Path(os.environ["RELEASE_FILE"]).read_text()))


def later(bound: BoundContext, releases: int) -> BoundContext:
    """Let a context be some releases later; return it."""
    for type_ in _EVENTS:
        contract = bound.registry.event(type_)
        for version in range(contract.version + 1, contract.version + releases + 1):
            reading(bound, type_, version)
        for aggregate in bound.aggregates.values():
            event = aggregate._events.get(contract.message)
            if event is not None:
                aggregate._events[contract.message] = event._replace(version=contract.version + releases)
    return bound


if __name__ == "__main__":
    Context.bind = _bind_later  # type: ignore[method-assign]
    main()
