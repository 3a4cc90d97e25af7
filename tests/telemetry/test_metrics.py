"""The metrics endpoint, over HTTP."""

from __future__ import annotations

import asyncio
import json
import socket
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import pytest_asyncio
from intent.consumers import ConsumerCounters, ConsumerKey
from intent.errors import ConfigurationError
from intent.telemetry.endpoint import MetricsEndpoint
from intent.telemetry.metrics import Metrics
from intent.temporal.backlog import Backlog, QueueBacklog
from prometheus_client.parser import text_string_to_metric_families

_METHOD = "orders.v1.Orders/PlaceOrder"


@dataclass
class _Projection:
    name: str = "OrderViews"
    position: int = 40
    lag: int = 2
    events: int = 38
    failures: int = 1
    failing: bool = True
    rebuilding: bool = False


@dataclass
class _Router:
    depth: int = 3
    in_flight: int = 7


@dataclass
class _Epochs:
    begun: int = 1
    lost: int = 9


async def _get(port: int, path: str) -> tuple[int, str]:
    def get() -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=30) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    return await asyncio.to_thread(get)


def _ready() -> tuple[bool, dict[str, str]]:
    return True, {}


@pytest.fixture
def problems() -> dict[str, str]:
    return {}


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest_asyncio.fixture
async def endpoint(metrics: Metrics, problems: dict[str, str]) -> AsyncIterator[MetricsEndpoint]:
    served = MetricsEndpoint(
        metrics.text, lambda: ("store" not in problems, problems), host="127.0.0.1", port=0
    )
    await served.start()
    yield served
    await served.stop()


def _samples(text: str) -> dict[tuple[str, ...], float]:
    return {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_what_was_counted_is_served(metrics: Metrics, endpoint: MetricsEndpoint) -> None:
    metrics.call_finished(f"/{_METHOD}", "OK", "", 0.02)
    metrics.call_finished(f"/{_METHOD}", "FAILED_PRECONDITION", "ORDER_ALREADY_PLACED", 0.01)
    metrics.batch_sent("orders", 17, queued=3)
    metrics.batch_applied("orders", 17, 0.05)
    metrics.rejection_undeclared("orders.v1.PlaceOrder", "ORDER_STALE")
    metrics.watch_commands(_Router())
    metrics.watch_epochs(_Epochs())
    metrics.watch_projections(lambda: [_Projection()])
    consumer = ConsumerCounters(
        ConsumerKey("acme", "shipping.known-orders"), lag=5, parked_streams=1, failures=3
    )
    metrics.watch_consumers(lambda: [consumer])
    metrics.watch_backlog(lambda: Backlog({"orders-commands": QueueBacklog(4, 12.5)}, {"stuck": 2}))
    status, text = await _get(endpoint.port, "/metrics")
    found = _samples(text)
    assert status == 200
    assert found["intent_call_seconds_count", "OK", _METHOD] == 1
    assert found["intent_call_failures_total", "ORDER_ALREADY_PLACED", _METHOD] == 1
    assert found["intent_batch_commands_sum", "orders"] == 17
    assert found["intent_batch_seconds_count", "orders"] == 1
    assert found["intent_undeclared_rejections_total", "ORDER_STALE", "orders.v1.PlaceOrder"] == 1
    assert found["intent_lane_depth",] == 3
    assert found["intent_commands_in_flight",] == 7
    assert found["intent_log_epochs_begun",] == 1
    assert found["intent_log_positions_lost",] == 9
    assert found["intent_projection_lag", "OrderViews"] == 2
    assert found["intent_projection_failing", "OrderViews"] == 1
    assert found["intent_projection_events_total", "OrderViews"] == 38
    assert found["intent_consumer_lag", "acme", "shipping.known-orders"] == 5
    assert found["intent_consumer_parked_streams", "acme", "shipping.known-orders"] == 1
    assert found["intent_consumer_failures_total", "acme", "shipping.known-orders"] == 3
    assert found["intent_task_queue_backlog", "orders-commands"] == 4
    assert found["intent_task_queue_backlog_age_seconds", "orders-commands"] == 12.5
    assert found["intent_sagas", "stuck"] == 2
    assert found["process_resident_memory_bytes",] > 0


async def test_the_metrics_of_temporals_sdk_are_served_too(metrics: Metrics) -> None:
    other = MetricsEndpoint(lambda: b"temporal_request_total 5\n", _ready, host="127.0.0.1", port=0)
    await other.start()
    both = MetricsEndpoint(metrics.text, _ready, host="127.0.0.1", port=0, temporal=f"127.0.0.1:{other.port}")
    await both.start()
    assert _samples((await _get(both.port, "/metrics"))[1])["temporal_request_total",] == 5
    await other.stop()
    status, text = await _get(both.port, "/metrics")
    assert status == 200
    assert "# the Temporal SDK's metrics cannot be read" in text
    await both.stop()


async def test_readiness_says_what_is_wrong(endpoint: MetricsEndpoint, problems: dict[str, str]) -> None:
    assert await _get(endpoint.port, "/readyz") == (200, '{"ready": true, "problems": {}}\n')
    problems["temporal"] = "unavailable"
    degraded = (200, '{"ready": true, "problems": {"temporal": "unavailable"}}\n')
    assert await _get(endpoint.port, "/readyz") == degraded
    problems["store"] = "unavailable"
    status, text = await _get(endpoint.port, "/readyz")
    assert status == 503
    assert json.loads(text)["problems"] == {"temporal": "unavailable", "store": "unavailable"}
    assert (await _get(endpoint.port, "/healthz"))[0] == 200


async def test_another_path_gets_the_list_of_paths(endpoint: MetricsEndpoint) -> None:
    assert await _get(endpoint.port, "/") == (404, "try one of /metrics, /healthz, /readyz\n")


async def test_malformed_input_does_not_end_the_endpoint(endpoint: MetricsEndpoint) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", endpoint.port)
    writer.write(b"\x00" * 20_000 + b"\r\n\r\n")
    await writer.drain()
    await reader.read()
    writer.close()
    assert (await _get(endpoint.port, "/healthz"))[0] == 200


async def test_a_taken_port_is_an_error_that_says_the_fix() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(ConfigurationError, match="INTENT_METRICS_PORT"):
            await MetricsEndpoint(bytes, _ready, host="127.0.0.1", port=port).start()
