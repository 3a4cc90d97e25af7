"""``python -m bench.serving serve CONTEXT``: a context whose only saga is the one that is measured.

The sagas by which payments and shipping talk to their partners do as much again as the saga itself;
here nothing listens to events, and the measured saga is started by the benchmark, so that four
commands stand beside four activities.
"""

from __future__ import annotations

import dataclasses
from types import MappingProxyType

from intent.cli import main
from intent.context import BoundContext, Context
from intent.contracts import Registry

from bench.sagas import MEASURED, FulfilOrder

_bind = Context.bind


def _bind_measured(self: Context, registry: Registry) -> BoundContext:
    sagas = {MEASURED: FulfilOrder} if self.name == "orders" else {}
    return dataclasses.replace(
        _bind(self, registry), sagas=MappingProxyType(sagas), consumers=MappingProxyType({})
    )


if __name__ == "__main__":
    Context.bind = _bind_measured  # type: ignore[method-assign]
    Registry.listeners = lambda self, event_type: ()  # type: ignore[method-assign]
    main()
