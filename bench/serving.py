"""``python -m bench.serving serve CONTEXT``: a context whose only saga is the one that is measured.

The sagas by which payments and shipping talk to their partners do as much again as the saga itself;
here nothing listens to events but what the benchmark has started, see `bench.starting`, so that
four commands stand beside four activities.
"""

from __future__ import annotations

import dataclasses
import sys
from types import MappingProxyType

from intent.cli.app import main
from intent.contracts import Registry, SagaContract
from intent.model import BoundContext, Context
from intent.process import assembly

from bench.sagas import MEASURED, FulfilOrder
from bench.starting import HEARD, StartingDelivery

_bind = Context.bind
_listeners = Registry.listeners


def _bind_measured(self: Context, registry: Registry) -> BoundContext:
    sagas = {MEASURED: FulfilOrder} if self.name == "orders" else {}
    return dataclasses.replace(
        _bind(self, registry), sagas=MappingProxyType(sagas), consumers=MappingProxyType({})
    )


def _heard_only(self: Registry, event_type: str) -> tuple[SagaContract, ...]:
    return _listeners(self, event_type) if HEARD.get() else ()


if __name__ == "__main__":
    Context.bind = _bind_measured  # type: ignore[method-assign]
    Registry.listeners = _heard_only  # type: ignore[method-assign]
    if sys.argv[2] == "orders":
        assembly.EventDelivery = StartingDelivery  # type: ignore[assignment, attr-defined]
    main()
