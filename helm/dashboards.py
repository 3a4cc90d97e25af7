"""The Grafana dashboards of a context, as data: the queries of each panel, and its place.

``__NAMESPACE__``, ``__JOB__`` and ``__UID__`` are filled in by the chart.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

__all__ = ["DASHBOARDS", "dashboard_json"]

_OF: Final = 'namespace="__NAMESPACE__", job="__JOB__"'
_WIDTH: Final = 8
_HEIGHT: Final = 8
_COLUMNS: Final = 24 // _WIDTH


@dataclass(frozen=True, slots=True)
class Panel:
    """One graph.

    Attributes:
        title: Its title.
        unit: Grafana's name of the unit.
        queries: The queries, by the legend of their curves; ``OF`` stands for the labels of the release.
        about: An explanation for its readers.
    """

    title: str
    unit: str
    queries: dict[str, str]
    about: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """A row of graphs under a heading."""

    title: str
    panels: tuple[Panel, ...]


def _quantiles(metric: str, labels: str = "") -> dict[str, str]:
    """Return queries for the median and the tail of a histogram."""
    buckets = f"sum by (le) (rate({metric}_bucket{{OF{labels}}}[$__rate_interval]))"
    return {f"p{int(q * 100)}": f"histogram_quantile({q}, {buckets})" for q in (0.5, 0.95, 0.99)}


def _rate(metric: str, by: str, labels: str = "") -> str:
    return f"sum by ({by}) (rate({metric}{{OF{labels}}}[$__rate_interval]))"


_BRIEF: Final = ', method!~"intent.v1.Events/.*|grpc.*"'

_CONTEXT: Final = (
    Row(
        "Calls",
        (
            Panel("Calls", "reqps", {"{{method}}": _rate("intent_call_seconds_count", "method")}),
            Panel("Time of calls", "s", _quantiles("intent_call_seconds", _BRIEF)),
            Panel(
                "Outcomes other than OK",
                "reqps",
                {"{{code}}": _rate("intent_call_seconds_count", "code", ', code!="OK"')},
                "FAILED_PRECONDITION and INVALID_ARGUMENT are the callers' own.",
            ),
        ),
    ),
    Row(
        "Commands",
        (
            Panel(
                "Commands in flight and in lanes",
                "short",
                {
                    "in flight": "sum(intent_commands_in_flight{OF})",
                    "in lanes": "sum(intent_lane_depth{OF})",
                },
            ),
            Panel(
                "Commands in a batch",
                "short",
                _quantiles("intent_batch_commands"),
                "Grows with load; that is what carries it.",
            ),
            Panel("Time until outcomes are known", "s", _quantiles("intent_batch_seconds")),
        ),
    ),
    Row(
        "Read models",
        (
            Panel(
                "Events behind the log",
                "short",
                {"{{projection}}": "max by (projection) (intent_projection_lag{OF})"},
            ),
            Panel(
                "Events applied",
                "ops",
                {"{{projection}}": _rate("intent_projection_events_total", "projection")},
            ),
            Panel(
                "Failing, rebuilding",
                "short",
                {
                    "{{projection}} fails": "max by (projection) (intent_projection_failing{OF})",
                    "{{projection}} is rebuilt": "max by (projection) (intent_projection_rebuilding{OF})",
                },
            ),
        ),
    ),
    Row(
        "Consumers of the events",
        (
            Panel(
                "Positions behind the log",
                "short",
                {"{{consumer}} {{tenant}}": "max by (consumer, tenant) (intent_consumer_lag{OF})"},
            ),
            Panel(
                "Events dealt with",
                "ops",
                {"{{consumer}}": _rate("intent_consumer_acknowledged_total", "consumer")},
            ),
            Panel(
                "Parked streams",
                "short",
                {"{{consumer}} {{tenant}}": "max by (consumer, tenant) (intent_consumer_parked_streams{OF})"},
            ),
        ),
    ),
    Row(
        "Processes",
        (
            Panel(
                "CPU",
                "short",
                {"{{pod}}": "sum by (pod) (rate(process_cpu_seconds_total{OF}[$__rate_interval]))"},
            ),
            Panel("Memory", "bytes", {"{{pod}}": "max by (pod) (process_resident_memory_bytes{OF})"}),
            Panel("Open files", "short", {"{{pod}}": "max by (pod) (process_open_fds{OF})"}),
        ),
    ),
)

_TEMPORAL: Final = (
    Row(
        "What waits",
        (
            Panel(
                "Tasks in queues", "short", {"{{queue}}": "max by (queue) (intent_task_queue_backlog{OF})"}
            ),
            Panel(
                "Age of the oldest task",
                "s",
                {"{{queue}}": "max by (queue) (intent_task_queue_backlog_age_seconds{OF})"},
            ),
            Panel(
                "Sagas under way",
                "short",
                {"{{status}}": "max by (status) (intent_sagas{OF})"},
                "A stuck saga waits for an operator, a failing one for a fix: intent sagas list.",
            ),
        ),
    ),
    Row(
        "Workers",
        (
            Panel(
                "Free slots",
                "short",
                {
                    "{{worker_type}} {{task_queue}}": "min by (worker_type, task_queue) "
                    "(temporal_worker_task_slots_available{OF})"
                },
            ),
            Panel(
                "Tasks wait for a worker (p99)",
                "s",
                {
                    "{{task_queue}}": "histogram_quantile(0.99, sum by (le, task_queue) (rate("
                    "temporal_workflow_task_schedule_to_start_latency_seconds_bucket{OF}[$__rate_interval])))"
                },
                "Batches that start in the process of their caller wait for none and are not in it.",
            ),
            Panel(
                "Workflows in memory", "short", {"{{pod}}": "sum by (pod) (temporal_sticky_cache_size{OF})"}
            ),
        ),
    ),
    Row(
        "Workflows",
        (
            Panel(
                "Workflows finished",
                "ops",
                {"{{workflow_type}}": _rate("temporal_workflow_completed_total", "workflow_type")},
            ),
            Panel("Time of workflows", "s", _quantiles("temporal_workflow_endtoend_latency_seconds")),
            Panel("Time of steps", "s", _quantiles("temporal_local_activity_execution_latency_seconds")),
        ),
    ),
    Row(
        "Requests to Temporal",
        (
            Panel("Requests", "reqps", {"{{operation}}": _rate("temporal_request_total", "operation")}),
            Panel(
                "Failures",
                "reqps",
                {
                    "{{operation}} {{status_code}}": _rate(
                        "temporal_request_failure_total", "operation, status_code"
                    )
                },
            ),
            Panel("Time of requests", "s", _quantiles("temporal_request_latency_seconds")),
        ),
    ),
)

DASHBOARDS: Final = {
    "context": ("Intent: __JOB__", _CONTEXT),
    "temporal": ("Intent: __JOB__ in Temporal", _TEMPORAL),
}
"""Title and rows of each dashboard, by the name of its file."""


def dashboard_json(title: str, rows: tuple[Row, ...]) -> str:
    """Return a dashboard in Grafana's format."""
    panels: list[dict[str, Any]] = []
    top = 0
    for row in rows:
        place = {"h": 1, "w": 24, "x": 0, "y": top}
        panels.append({"type": "row", "title": row.title, "collapsed": False, "gridPos": place, "panels": []})
        for index, panel in enumerate(row.panels):
            place = {
                "h": _HEIGHT,
                "w": _WIDTH,
                "x": index % _COLUMNS * _WIDTH,
                "y": top + 1 + index // _COLUMNS * _HEIGHT,
            }
            panels.append(_panel(panel, place))
        top += 1 + _HEIGHT * -(-len(row.panels) // _COLUMNS)
    numbered = [{"id": number, **panel} for number, panel in enumerate(panels, 1)]
    source = {"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Data source"}
    dashboard = {
        "uid": "__UID__",
        "title": title,
        "tags": ["intent"],
        "schemaVersion": 39,
        "editable": False,
        "time": {"from": "now-3h", "to": "now"},
        "refresh": "30s",
        "templating": {"list": [source]},
        "panels": numbered,
    }
    return json.dumps(dashboard, indent=1) + "\n"


def _panel(panel: Panel, place: dict[str, int]) -> dict[str, Any]:
    source = {"type": "prometheus", "uid": "${datasource}"}
    targets = [
        {
            "refId": chr(65 + index),
            "datasource": source,
            "expr": query.replace("{OF", "{" + _OF),
            "legendFormat": legend,
        }
        for index, (legend, query) in enumerate(panel.queries.items())
    ]
    return {
        "type": "timeseries",
        "title": panel.title,
        "description": panel.about,
        "datasource": source,
        "gridPos": place,
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}},
        "targets": targets,
    }
