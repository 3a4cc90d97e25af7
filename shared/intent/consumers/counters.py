"""The metrics of a consumer."""

from __future__ import annotations

from dataclasses import dataclass

from intent.consumers.keys import ConsumerKey

__all__ = ["ConsumerCounters"]


@dataclass(slots=True)
class ConsumerCounters:
    """The metrics of one consumer; the counts are those of this process and only grow.

    Attributes:
        key: The consumer.
        position: All events up to here are handled or parked, in whichever process.
        lag: How many positions it is behind the log.
        instances: How many instances share the work, in all processes.
        parked_streams: How many streams are parked.
        deliveries: How many events were delivered, each attempt counted.
        acknowledged: How many of them were handled.
        failures: How many of them failed.
        parked: How many streams were parked.
    """

    key: ConsumerKey
    position: int = 0
    lag: int = 0
    instances: int = 0
    parked_streams: int = 0
    deliveries: int = 0
    acknowledged: int = 0
    failures: int = 0
    parked: int = 0
