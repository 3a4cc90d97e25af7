"""What a context process counts, for Prometheus.

Metrics (all begin with ``intent_``):

- ``call_seconds``: duration of gRPC calls, by method and status
- ``call_failures_total``: failed calls, by method and reason
- ``batch_commands``, ``batch_seconds``: size of batches and time until their outcomes are known
- ``undeclared_rejections_total``: rejections for reasons that the command's contract does not declare,
  by command and reason; each is a defect of the context
- ``lane_depth``, ``commands_in_flight``: commands that queue, and that wait for an outcome
- ``projection_position``, ``projection_lag``, ``projection_events_total``,
  ``projection_failures_total``, ``projection_failing``, ``projection_rebuilding``
- ``task_queue_backlog``, ``task_queue_backlog_age_seconds``: tasks that wait in Temporal, by queue
- ``sagas``: sagas under way, by status
- ``consumer_position``, ``consumer_lag``, ``consumer_instances``, ``consumer_parked_streams``: how far
  the consumers of this context's events are; ``consumer_deliveries_total``,
  ``consumer_acknowledged_total``, ``consumer_failures_total``, ``consumer_parked_total``: this
  process's part
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

__all__ = ["CommandFigures", "Metrics", "ProjectionFigures"]

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_COMMANDS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)


class CommandFigures(Protocol):
    """Knows how many commands are under way."""

    @property
    def depth(self) -> int:
        """How many commands queue."""
        ...

    @property
    def in_flight(self) -> int:
        """How many commands wait for their outcome."""
        ...


class ProjectionFigures(Protocol):
    """The figures of one projection; the counts only grow."""

    name: str
    position: int
    lag: int
    events: int
    failures: int
    failing: bool
    rebuilding: bool


class Metrics:
    """The metrics of one process. It is also the observer of batches."""

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
        # Looking a child up by its labels costs as much as counting; calls are many, labels few.
        self._call_children: dict[tuple[str, str], Histogram] = {}

    def call_finished(self, method: str, code: str, reason: str, seconds: float) -> None:
        """Counts a gRPC call.

        Args:
            method: The full name of the method.
            code: The name of its status.
            reason: The error's stable reason; empty when it succeeded.
            seconds: How long it took.
        """
        child = self._call_children.get((method, code))
        if child is None:
            child = self._call_children[method, code] = self._calls.labels(method.lstrip("/"), code)
        child.observe(seconds)
        if reason:
            self._failures.labels(method.lstrip("/"), reason).inc()

    def batch_sent(self, context: str, commands: int, queued: int) -> None:
        """Counts a batch that was formed."""
        self._batches.labels(context).observe(commands)

    def batch_applied(self, context: str, commands: int, seconds: float) -> None:
        """Counts the time until the outcomes of a batch were known."""
        self._applied.labels(context).observe(seconds)

    def rejection_undeclared(self, command: str, reason: str) -> None:
        """Count a rejection for a reason that the command's contract does not declare.

        Args:
            command: The full name of the command.
            reason: The reason.
        """
        self._undeclared.labels(command, reason).inc()

    def watch_commands(self, router: CommandFigures) -> None:
        """Reads from now on how many commands are under way."""
        depth = Gauge("intent_lane_depth", "Commands that queue in lanes.", registry=self.registry)
        depth.set_function(lambda: router.depth)
        flight = Gauge(
            "intent_commands_in_flight", "Commands that wait for their outcome.", registry=self.registry
        )
        flight.set_function(lambda: router.in_flight)

    def watch_projections(self, figures: Callable[[], Sequence[ProjectionFigures]]) -> None:
        """Reads from now on the figures of the projections."""
        self.registry.register(_Figures({"projection": lambda row: row.name}, _PROJECTIONS, figures))

    def watch_consumers(self, figures: Callable[[], Sequence[ConsumerCounters]]) -> None:
        """Reads from now on the figures of the consumers."""
        labels = {"consumer": lambda row: row.key.name, "tenant": lambda row: row.key.tenant}
        self.registry.register(_Figures(labels, _CONSUMERS, figures))

    def watch_consuming(self, figures: Callable[[], Sequence[ConsumingFigures]]) -> None:
        """Reads from now on the figures of the consumers that run in this process."""
        self.registry.register(_Figures({"consumer": lambda row: row.name}, _CONSUMING, figures))

    def watch_backlog(self, latest: Callable[[], Backlog]) -> None:
        """Reads from now on what waits in Temporal."""
        self.registry.register(_Backlog(latest))

    def text(self) -> bytes:
        """Returns all metrics in Prometheus' text format."""
        return generate_latest(self.registry)


class _Family(NamedTuple):
    """One metric of a row of figures.

    Attributes:
        kind: A gauge or a counter.
        name: The metric's name.
        text: What it says.
    """

    kind: type[GaugeMetricFamily] | type[CounterMetricFamily]
    name: str
    text: str


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


class _Figures(Collector):
    """Reads rows of figures when Prometheus asks.

    Args:
        labels: The fields of a row that are its labels, by the labels' names.
        families: The metrics, by the field that each comes from.
        figures: Returns the rows.
    """

    def __init__(
        self,
        labels: Mapping[str, Callable[[Any], str]],
        families: Mapping[str, _Family],
        figures: Callable[[], Iterable[object]],
    ) -> None:
        self._labels = labels
        self._families = families
        self._figures = figures

    def collect(self) -> Iterator[Metric]:
        """Yields the metrics."""
        metrics = {
            field: family.kind(family.name, family.text, labels=list(self._labels))
            for field, family in self._families.items()
        }
        for figures in self._figures():
            labels = [read(figures) for read in self._labels.values()]
            for field, metric in metrics.items():
                metric.add_metric(labels, float(getattr(figures, field)))
        yield from metrics.values()


class _Backlog(Collector):
    """Reads what waits in Temporal when Prometheus asks; says nothing while nobody knows."""

    def __init__(self, latest: Callable[[], Backlog]) -> None:
        self._latest = latest

    def collect(self) -> Iterator[Metric]:
        """Yields the metrics."""
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
