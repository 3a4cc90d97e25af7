"""The engine of durable consumers: assignment of partitions, checkpoints, and parked streams."""

from intent.consumers.counters import ConsumerCounters
from intent.consumers.database import ConsumerDatabase, ConsumerRow, ParkedKey, ParkedRow
from intent.consumers.keys import EVERY_TENANT, RESERVED, ConsumerKey, own_prefix, partition_of
from intent.consumers.operator import ConsumerOperator
from intent.consumers.serving import ConsumerServing
from intent.consumers.session import Instance
from intent.consumers.settings import ConsumerSettings, Terms
from intent.consumers.streams import Answer, Delivered

__all__ = [
    "EVERY_TENANT",
    "RESERVED",
    "Answer",
    "ConsumerCounters",
    "ConsumerDatabase",
    "ConsumerKey",
    "ConsumerOperator",
    "ConsumerRow",
    "ConsumerServing",
    "ConsumerSettings",
    "Delivered",
    "Instance",
    "ParkedKey",
    "ParkedRow",
    "Terms",
    "own_prefix",
    "partition_of",
]
