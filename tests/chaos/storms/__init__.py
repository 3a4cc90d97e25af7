"""The storms; a further one is a module here and a line in `STORMS`."""

from __future__ import annotations

from .commands import COMMANDS
from .faults import FAULTS
from .floods import FLOODS
from .kind import Kind
from .losses import LOSSES
from .orders import ORDERS
from .poison import POISON
from .sagas import SAGAS

__all__ = ["STORMS"]

STORMS: dict[str, Kind] = {
    kind.name: kind for kind in (COMMANDS, ORDERS, SAGAS, FLOODS, FAULTS, POISON, LOSSES)
}
