"""The queries of the chart's alerts and dashboards."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import promql_parser

from .charts import Manifest, of_kind

EXTERNAL = {"up"}
"""The series that Prometheus itself adds."""
ON_FAILURE = {"temporal_request_failure_total", "temporal_workflow_task_execution_failed_total"}
"""The series that Temporal's SDK exports only once something has failed."""


def rules(manifests: list[Manifest]) -> list[dict[str, Any]]:
    """Return the alerts."""
    groups = [group for rule in of_kind(manifests, "PrometheusRule") for group in rule["spec"]["groups"]]
    return [rule for group in groups for rule in group["rules"]]


def dashboards(manifests: list[Manifest]) -> list[dict[str, Any]]:
    """Return the dashboards."""
    maps = [one for one in of_kind(manifests, "ConfigMap") if one["metadata"]["name"].endswith("-dashboards")]
    return [json.loads(text) for one in maps for text in one["data"].values()]


def expressions(manifests: list[Manifest]) -> Iterator[str]:
    """Yield every query of alerts and dashboards."""
    for rule in rules(manifests):
        yield rule["expr"]
    for dashboard in dashboards(manifests):
        for panel in dashboard["panels"]:
            # Grafana fills it in, with at least as much.
            yield from (
                target["expr"].replace("$__rate_interval", "1m") for target in panel.get("targets", ())
            )


def selectors(expression: str) -> list[promql_parser.VectorSelector]:
    """Return the series that a query reads.

    Raises:
        ValueError: It is no query.
    """
    found: list[promql_parser.VectorSelector] = []

    def visit(node: Any) -> bool:
        if isinstance(node, promql_parser.VectorSelector):
            found.append(node)
        return True

    promql_parser.walk(promql_parser.parse(expression), visit)
    return found


def family(series: str) -> str:
    """Return the name of the metric to which a series belongs."""
    for suffix in ("_bucket", "_count", "_sum"):
        if series.endswith(suffix):
            return series.removesuffix(suffix)
    return series
