"""What is stored of a consumer's work, as plain values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from intent.records import StreamKey

__all__ = ["Changes", "Grant", "PartitionMark", "StreamMark"]


@dataclass(frozen=True, slots=True)
class Grant:
    """A partition that an instance owns.

    Attributes:
        partition: Its number.
        epoch: Grows with each owner; writes of an earlier owner are refused.
        checkpoint: All events of the partition up to here are handled, or belong to a stream
            that was set aside.
    """

    partition: int
    epoch: int
    checkpoint: int


@dataclass(frozen=True, slots=True)
class PartitionMark:
    """The progress of an instance in a partition.

    Attributes:
        partition: Its number.
        epoch: The epoch of the instance's grant.
        checkpoint: See `Grant`.
        release: True when the instance gives the partition up.
    """

    partition: int
    epoch: int
    checkpoint: int
    release: bool = False


@dataclass(frozen=True, slots=True)
class StreamMark:
    """A stream that was set aside: the partition's checkpoint moves on without it.

    Attributes:
        partition: The partition to which it belongs.
        key: The stream.
        version: All its events below this version are handled.
        position: The position of the first event that is not, or a lower bound of it.
        attempts: How often that event was tried.
        error: Why it failed last.
        retry_in: Seconds until it may be tried again.
        parked: True when it is not tried again until an operator replays or drops it.
        dropped: Positions of events that an operator dropped.
        replays: How often an operator replayed it.
    """

    partition: int
    key: StreamKey
    version: int
    position: int
    attempts: int = 0
    error: str = ""
    retry_in: float = 0.0
    parked: bool = False
    dropped: frozenset[int] = frozenset()
    replays: int = 0


@dataclass(frozen=True, slots=True)
class Changes:
    """What an instance has to save, all of it or nothing.

    Attributes:
        partitions: Its progress; one for each partition to which any stream below belongs.
        streams: Streams that are set aside.
        rejoined: Streams that are set aside no longer, with their partitions.
    """

    partitions: Sequence[PartitionMark] = ()
    streams: Sequence[StreamMark] = ()
    rejoined: Sequence[tuple[int, StreamKey]] = field(default=())

    def __bool__(self) -> bool:
        return bool(self.partitions)
