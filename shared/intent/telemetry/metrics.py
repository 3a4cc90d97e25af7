"""The metrics of a context process, for Prometheus.

Metrics (all begin with ``intent_``):

- ``call_seconds``: duration of gRPC calls, by method and status
- ``call_failures_total``: failed calls, by method and reason
- ``batch_commands``, ``batch_seconds``: size of batches and time until their outcomes are known
- ``undeclared_rejections_total``: rejections for reasons that the command's contract does not declare,
  by command and reason; each is a defect of the context
- ``changed_states_total``: commands whose handler changed the state of its aggregate in place, by command;
  each is a defect of the context
- ``temporal_refusals_total``: what came from Temporal and was not believed, by reason and place
- ``stalled_batch_seconds``: how long the outcomes of a batch have been awaited, by context and workflow;
  only while that is longer than 30 s
- ``lane_depth``, ``commands_in_flight``: commands that are queued, and that wait for an outcome
- ``projection_position``, ``projection_lag``, ``projection_events_total``,
  ``projection_failures_total``, ``projection_failing``, ``projection_rebuilding``
- ``audit_refusals_total``, ``audit_refusals_untold_total``, ``audit_refusals_pending``: calls refused for
  want of right; those that the audit counts without saying whose; those that it does not have yet
- ``task_queue_backlog``, ``task_queue_backlog_age_seconds``: tasks that wait in Temporal, by queue
- ``sagas``: running sagas, by status
- ``consumer_position``, ``consumer_lag``, ``consumer_instances``, ``consumer_parked_streams``: how far
  the consumers of this context's events are; ``consumer_deliveries_total``,
  ``consumer_acknowledged_total``, ``consumer_failures_total``, ``consumer_parked_total``: the
  share of this process
- ``consuming_connected``, ``consuming_partitions``, ``consuming_handled_total``,
  ``consuming_failures_total``: the consumers of other contexts' events that run here
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple, Protocol

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from intent.client import ConsumingFigures
from intent.consumers import ConsumerCounters
from intent.temporal.backlog import Backlog

__all__ = ["AuditCounts", "CommandCounts", "EpochCounts", "Metrics", "ProjectionCounts", "StalledBatch"]

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_COMMANDS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)


class CommandCounts(Protocol):
    """The number of commands in this process, by state."""

    @property
    def depth(self) -> int:
        """The number of queued commands."""
        ...

    @property
    def in_flight(self) -> int:
        """The number of commands that wait for their outcome."""
        ...


class EpochCounts(Protocol):
    """How often the log has begun another epoch while the process ran."""

    @property
    def begun(self) -> int:
        """How many epochs have begun."""
        ...

    @property
    def lost(self) -> int:
        """How many positions were lost with that."""
        ...


class AuditCounts(Protocol):
    """The refusals of this process; the counts only grow, but for what is pending."""

    @property
    def refusals(self) -> int:
        """How many there were."""
        ...

    @property
    def untold(self) -> int:
        """How many of them are told apart from others no more."""
        ...

    @property
    def pending(self) -> int:
        """How many are not recorded yet."""
        ...


class StalledBatch(Protocol):
    """A batch that makes no progress."""

    @property
    def context(self) -> str:
        """The context that handles it."""
        ...

    @property
    def workflow(self) -> str:
        """The id of its workflow."""
        ...

    @property
    def seconds(self) -> float:
        """How long its outcomes have been awaited."""
        ...


class ProjectionCounts(Protocol):
    """The metrics of one projection; the counts only grow."""

    name: str
    position: int
    lag: int
    events: int
    failures: int
    failing: bool
    rebuilding: bool


class Metrics:
    """The metrics of one process; also the observer of its batches."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._calls = Histogram(
            "intent_call_seconds",
            "Duration of gRPC calls.",
            ("method", "code"),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._failures = Counter(
            "intent_call_failures", "Failed gRPC calls.", ("method", "reason"), registry=self.registry
        )
        self._batches = Histogram(
            "intent_batch_commands",
            "Commands in a batch.",
            ("context",),
            buckets=_COMMANDS,
            registry=self.registry,
        )
        self._applied = Histogram(
            "intent_batch_seconds",
            "Time until the outcomes of a batch are known.",
            ("context",),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._undeclared = Counter(
            "intent_undeclared_rejections",
            "Rejections for reasons that the command's contract does not declare.",
            ("command", "reason"),
            registry=self.registry,
        )
        self._changed = Counter(
            "intent_changed_states",
            "Commands whose handler changed the state of its aggregate in place.",
            ("command",),
            registry=self.registry,
        )
        self._refusals = Counter(
            "intent_temporal_refusals",
            "What came from Temporal and was not believed.",
            ("reason", "place"),
            registry=self.registry,
        )
        # Looking up a child by its labels costs as much as counting; calls are many, labels are few.
        self._call_children: dict[tuple[str, str], Histogram] = {}

    def call_finished(self, method: str, code: str, reason: str, seconds: float) -> None:
        """Count a gRPC call.

        Args:
            method: The full name of the method.
            code: The name of its status.
            reason: The error's stable reason; empty when it succeeded.
            seconds: Its duration.
        """
        child = self._call_children.get((method, code))
        if child is None:
            child = self._call_children[method, code] = self._calls.labels(method.lstrip("/"), code)
        child.observe(seconds)
        if reason:
            self._failures.labels(method.lstrip("/"), reason).inc()

    def batch_sent(self, context: str, commands: int, queued: int) -> None:
        """Count a batch that was sent."""
        self._batches.labels(context).observe(commands)

    def batch_applied(self, context: str, commands: int, seconds: float) -> None:
        """Record the time until the outcomes of a batch were known."""
        self._applied.labels(context).observe(seconds)

    def rejection_undeclared(self, command: str, reason: str) -> None:
        """Count a rejection for a reason that the command's contract does not declare.

        Args:
            command: The full name of the command.
            reason: The reason.
        """
        self._undeclared.labels(command, reason).inc()

    def state_changed(self, command: str) -> None:
        """Count a command whose handler changed the state of its aggregate in place.

        Args:
            command: The full name of the command.
        """
        self._changed.labels(command).inc()

    def temporal_refused(self, reason: str, place: str) -> None:
        """Count something that came from Temporal and was not believed.

        Args:
            reason: Why, such as ``MAC_INVALID``.
            place: What it was for: ``workflow``, or the type of an activity.
        """
        self._refusals.labels(reason, place).inc()

    def watch_commands(self, router: CommandCounts) -> None:
        """Export the number of commands in this process from now on."""
        depth = Gauge("intent_lane_depth", "Commands that queue in lanes.", registry=self.registry)
        depth.set_function(lambda: router.depth)
        flight = Gauge(
            "intent_commands_in_flight", "Commands that wait for their outcome.", registry=self.registry
        )
        flight.set_function(lambda: router.in_flight)

    def watch_epochs(self, epochs: EpochCounts) -> None:
        """Export how often the log has begun another epoch while this process ran, and what it lost."""
        begun = Gauge(
            "intent_log_epochs_begun",
            "How often the log was restored, or a standby promoted, while this process ran.",
            registry=self.registry,
        )
        begun.set_function(lambda: epochs.begun)
        lost = Gauge(
            "intent_log_positions_lost",
            "Positions that the log has lost with that, as far as this process knew it.",
            registry=self.registry,
        )
        lost.set_function(lambda: epochs.lost)

    def watch_audit(self, counts: AuditCounts) -> None:
        """Export the number of refusals, and how many of them the audit has, from now on."""
        self.registry.register(_RowCollector({}, _AUDIT, lambda: [counts]))

    def watch_batches(self, rows: Callable[[], Sequence[StalledBatch]]) -> None:
        """Export the batches that make no progress from now on."""
        labels = {"context": lambda row: row.context, "workflow": lambda row: row.workflow}
        self.registry.register(_RowCollector(labels, _BATCHES, rows))

    def watch_projections(self, rows: Callable[[], Sequence[ProjectionCounts]]) -> None:
        """Export the metrics of the projections from now on."""
        self.registry.register(_RowCollector({"projection": lambda row: row.name}, _PROJECTIONS, rows))

    def watch_consumers(self, rows: Callable[[], Sequence[ConsumerCounters]]) -> None:
        """Export the metrics of the consumers of this context's events from now on."""
        labels = {"consumer": lambda row: row.key.name, "tenant": lambda row: row.key.tenant}
        self.registry.register(_RowCollector(labels, _CONSUMERS, rows))

    def watch_consuming(self, rows: Callable[[], Sequence[ConsumingFigures]]) -> None:
        """Export the metrics of the consumers that run in this process from now on."""
        self.registry.register(_RowCollector({"consumer": lambda row: row.name}, _CONSUMING, rows))

    def watch_backlog(self, latest: Callable[[], Backlog]) -> None:
        """Export the backlog in Temporal from now on."""
        self.registry.register(_BacklogCollector(latest))

    def text(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return generate_latest(self.registry)


class _Family(NamedTuple):
    """One metric that is read from a field of each row.

    Attributes:
        kind: A gauge or a counter.
        name: The metric's name.
        text: Its description.
    """

    kind: type[GaugeMetricFamily] | type[CounterMetricFamily]
    name: str
    text: str


_BATCHES: Final = {
    "seconds": _Family(GaugeMetricFamily, "intent_stalled_batch_seconds", "Wait for a batch's outcomes."),
}
_AUDIT: Final = {
    "refusals": _Family(CounterMetricFamily, "intent_audit_refusals", "Calls refused for want of right."),
    "untold": _Family(CounterMetricFamily, "intent_audit_refusals_untold", "Those recorded as others only."),
    "pending": _Family(GaugeMetricFamily, "intent_audit_refusals_pending", "Those not recorded yet."),
}
_PROJECTIONS: Final = {
    "position": _Family(GaugeMetricFamily, "intent_projection_position", "Position reached."),
    "lag": _Family(GaugeMetricFamily, "intent_projection_lag", "Events behind the log."),
    "failing": _Family(GaugeMetricFamily, "intent_projection_failing", "1 while an event fails."),
    "rebuilding": _Family(GaugeMetricFamily, "intent_projection_rebuilding", "1 during a rebuild."),
    "events": _Family(CounterMetricFamily, "intent_projection_events", "Events applied."),
    "failures": _Family(CounterMetricFamily, "intent_projection_failures", "Failed attempts."),
}
_CONSUMERS: Final = {
    "position": _Family(GaugeMetricFamily, "intent_consumer_position", "Position reached."),
    "lag": _Family(GaugeMetricFamily, "intent_consumer_lag", "Positions behind the log."),
    "instances": _Family(GaugeMetricFamily, "intent_consumer_instances", "Instances, in all processes."),
    "parked_streams": _Family(GaugeMetricFamily, "intent_consumer_parked_streams", "Parked streams."),
    "deliveries": _Family(CounterMetricFamily, "intent_consumer_deliveries", "Attempts delivered."),
    "acknowledged": _Family(CounterMetricFamily, "intent_consumer_acknowledged", "Events dealt with."),
    "failures": _Family(CounterMetricFamily, "intent_consumer_failures", "Failed attempts."),
    "parked": _Family(CounterMetricFamily, "intent_consumer_parked", "Streams parked."),
}

_CONSUMING: Final = {
    "connected": _Family(GaugeMetricFamily, "intent_consuming_connected", "1 while it takes part."),
    "partitions": _Family(GaugeMetricFamily, "intent_consuming_partitions", "Partitions of its own."),
    "handled": _Family(CounterMetricFamily, "intent_consuming_handled", "Events dealt with."),
    "failures": _Family(CounterMetricFamily, "intent_consuming_failures", "Failed attempts."),
}


class _RowCollector(Collector):
    """Collector that reads rows of numbers at each scrape.

    Args:
        labels: The fields of a row that are its labels, by the labels' names.
        families: The metrics, by the field that each comes from.
        rows: Returns the rows.
    """

    def __init__(
        self,
        labels: Mapping[str, Callable[[Any], str]],
        families: Mapping[str, _Family],
        rows: Callable[[], Iterable[object]],
    ) -> None:
        self._labels = labels
        self._families = families
        self._rows = rows

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics."""
        metrics = {
            field: family.kind(family.name, family.text, labels=list(self._labels))
            for field, family in self._families.items()
        }
        for row in self._rows():
            labels = [read(row) for read in self._labels.values()]
            for field, metric in metrics.items():
                metric.add_metric(labels, float(getattr(row, field)))
        yield from metrics.values()


class _BacklogCollector(Collector):
    """Collector of the backlog in Temporal; yields no samples while it is unknown."""

    def __init__(self, latest: Callable[[], Backlog]) -> None:
        self._latest = latest

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics."""
        backlog = self._latest()
        tasks = GaugeMetricFamily(
            "intent_task_queue_backlog", "Tasks that wait in Temporal.", labels=["queue"]
        )
        age = GaugeMetricFamily(
            "intent_task_queue_backlog_age_seconds", "How long the oldest has waited.", labels=["queue"]
        )
        sagas = GaugeMetricFamily("intent_sagas", "Sagas under way.", labels=["status"])
        for queue, waiting in backlog.queues.items():
            tasks.add_metric([queue], float(waiting.tasks))
            age.add_metric([queue], waiting.age)
        for status, count in backlog.sagas.items():
            sagas.add_metric([status], float(count))
        yield from (tasks, age, sagas)
