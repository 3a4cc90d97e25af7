"""The settings with which consumers are served."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

__all__ = ["ConsumerSettings", "DeliveryPolicy", "Terms"]


@dataclass(frozen=True, slots=True)
class ConsumerSettings:
    """Limits of the consumers of a context; times are in seconds.

    Attributes:
        partitions: Into how many partitions a new consumer is split when it does not say.
        in_flight: How many deliveries an instance may leave unanswered when it does not say.
        attempts: How often an event is tried when the instance does not say.
        first_retry: The pause after the first failed attempt; each further one is twice as long.
        longest_retry: The longest pause.
        lease: How long a process may go without a heartbeat before its partitions go to others.
        save_every: How long progress may stay unsaved while events are acknowledged.
        slow: After how long an unanswered event no longer blocks the checkpoint.
        stream_length: How many events of one stream may wait before the rest of them is read later.
        stream_bytes: The same in bytes of their events.
        page: How many events are read at once.
        page_bytes: The number of bytes with which such a page ends, if it has not ended before.
        waiting_bytes: With how many bytes of events that wait nothing more is read.
        unanswered_bytes: With how many bytes of unanswered events nothing more is delivered.
        most_per_tenant: How many consumers one tenant may have.
        types_kept: How long events of types that no instance wants any more wait for one that does.
        days_kept: For how many days a consumer without instances is kept.
        forget_every: How often consumers that have been without instances for longer are looked for.
        progress_every: How often progress is saved that happens without deliveries.
        drain: How long a process that stops waits for answers to what it has delivered.
        metrics_every: How often the metrics are read.
    """

    partitions: int = 16
    in_flight: int = 64
    attempts: int = 5
    first_retry: float = 1.0
    longest_retry: float = 60.0
    lease: float = 6.0
    save_every: float = 0.25
    slow: float = 10.0
    stream_length: int = 100
    stream_bytes: int = 256 * 1024
    page: int = 200
    page_bytes: int = 256 * 1024
    waiting_bytes: int = 512 * 1024
    unanswered_bytes: int = 1024 * 1024
    most_per_tenant: int = 50
    types_kept: float = 60.0
    days_kept: int = 30
    forget_every: float = 3600.0
    progress_every: float = 5.0
    drain: float = 2.0
    metrics_every: float = 10.0

    @property
    def heartbeat_interval(self) -> float:
        """How often a process sends a heartbeat."""
        return self.lease / 4

    def backoff(self, attempts: int) -> float:
        """Return how long to wait after this many failed attempts."""
        return min(self.longest_retry, self.first_retry * 2.0 ** (attempts - 1))

    def policy(self, attempts: int) -> DeliveryPolicy:
        """Return the policy for an instance that has each event tried so often."""
        return DeliveryPolicy(attempts, self.backoff, self.slow, self.stream_length, self.stream_bytes)


@dataclass(frozen=True, slots=True)
class DeliveryPolicy:
    """When an event is tried again, and when a stream is set aside; times are in seconds.

    Attributes:
        attempts: How often an event is tried before its stream is parked.
        backoff: Returns how long to wait after a number of failed attempts.
        slow: After how long an unanswered event no longer blocks the checkpoint.
        stream_length: How many events of one stream may wait before it is set aside.
        stream_bytes: The same in bytes of their events.
    """

    attempts: int
    backoff: Callable[[int], float]
    slow: float = 10.0
    stream_length: int = 100
    stream_bytes: int = 256 * 1024

    def too_long(self, events: int, size: int) -> bool:
        """Return whether a stream of which so many events and bytes wait is set aside."""
        return events >= self.stream_length or size >= self.stream_bytes


@dataclass(frozen=True, slots=True)
class Terms:
    """The terms on which an instance consumes.

    Attributes:
        types: Full names of the events that it wants; empty: all.
        from_now: True when a new consumer starts with new events, false for the beginning of the log.
        in_flight: How many deliveries may be unanswered at once.
        attempts: How often an event is tried before its stream is parked.
        partitions: Into how many partitions a new consumer is split.
        actor: Who joins; empty: the platform itself.
    """

    types: Sequence[str]
    from_now: bool
    in_flight: int
    attempts: int
    partitions: int
    actor: str = ""
