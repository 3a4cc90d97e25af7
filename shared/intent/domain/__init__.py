"""The domain kit: aggregates, their handlers and appliers, upcasters. Pure, without I/O."""

from intent.domain.aggregate import Aggregate as Aggregate
from intent.domain.aggregate_type import AggregateType as AggregateType
from intent.domain.handlers import applies as applies
from intent.domain.handlers import handles as handles
from intent.domain.metadata import CommandMetadata as CommandMetadata
from intent.domain.metadata import DecidedEvent as DecidedEvent
from intent.domain.upcasters import Upcasters as Upcasters
from intent.domain.upcasting import Upcaster as Upcaster
from intent.domain.upcasting import upcasts as upcasts

__all__ = [
    "Aggregate",
    "AggregateType",
    "CommandMetadata",
    "DecidedEvent",
    "Upcaster",
    "Upcasters",
    "applies",
    "handles",
    "upcasts",
]
