"""``python -m bench.serving serve CONTEXT``: a context whose only saga is the measured one.

The sagas with which payments and shipping talk to their partners do as much work as the saga itself.
Here only the sagas that the benchmark starts listen to events, see `bench.starting`, so that four
commands are compared with four activities.
"""

from __future__ import annotations

import dataclasses
import sys
from types import MappingProxyType

from intent.cli.app import main
from intent.contracts import Registry, SagaContract
from intent.model import BoundContext, Context
from intent.process import command_path

from bench.sagas import MEASURED, FulfilOrder
from bench.starting import FROM_SOCKET, StartingDelivery

_bind = Context.bind
_listeners = Registry.listeners


def _bind_measured(self: Context, registry: Registry) -> BoundContext:
    sagas = {MEASURED: FulfilOrder} if self.name == "orders" else {}
    return dataclasses.replace(
        _bind(self, registry), sagas=MappingProxyType(sagas), consumers=MappingProxyType({})
    )


def _from_socket_only(self: Registry, event_type: str) -> tuple[SagaContract, ...]:
    return _listeners(self, event_type) if FROM_SOCKET.get() else ()


if __name__ == "__main__":
    Context.bind = _bind_measured  # type: ignore[method-assign]
    Registry.listeners = _from_socket_only  # type: ignore[method-assign]
    if sys.argv[2] == "orders":
        command_path.EventDelivery = StartingDelivery  # type: ignore[assignment, attr-defined]
    main()
