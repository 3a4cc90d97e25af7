"""Collectors of traces: dead and silent ones hold no stop up, and both protocols reach one."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from intent.errors import ConfigurationError
from intent.origin import TraceContext
from intent.process.sockets import free_port
from intent.settings.config import load_settings
from intent.telemetry.tracing import setup_tracing
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2

_TRACE = TraceContext("00-" + "a" * 32 + "-" + "1" * 16 + "-01")
_STOPPING = """
import time
from intent.origin import TraceContext
from intent.settings.config import load_settings
from intent.telemetry.tracing import setup_tracing

tracing = setup_tracing(load_settings())
with tracing.step("handle", [TraceContext("00-" + "a" * 32 + "-" + "1" * 16 + "-01")]):
    pass
started = time.monotonic()
tracing.close()
print(time.monotonic() - started)
"""
# An HTTP/2 server's greeting, its settings, and its acknowledgement of the client's.
_GREETING = bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]) + bytes([0, 0, 0, 4, 1, 0, 0, 0, 0])


@asynccontextmanager
async def _silent(greeting: bytes) -> AsyncIterator[int]:
    """Listen on a port, greet whoever connects, and never answer."""

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(greeting)
        while await reader.read(65536):
            pass
        writer.close()

    async with await asyncio.start_server(listen, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


async def _seconds_to_close(port: int, protocol: str) -> float:
    """Return how long a process with a span to send takes to close its tracing; it must end by itself."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _STOPPING),
        env={
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}",
            "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(60):
            printed, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode == 0
    return float(printed)


async def test_no_collector_that_is_dead_or_silent_delays_a_stop_by_more_than_two_seconds() -> None:
    async with AsyncExitStack() as stack:
        dead = free_port()
        mute = await stack.enter_async_context(_silent(b""))
        unanswering = await stack.enter_async_context(_silent(_GREETING))
        took = await asyncio.gather(
            _seconds_to_close(dead, "grpc"),
            _seconds_to_close(mute, "grpc"),
            _seconds_to_close(unanswering, "grpc"),
            _seconds_to_close(mute, "http/protobuf"),
        )
    # Two seconds, and what a busy machine adds.
    assert max(took) < 6, took


class _Collector(HTTPServer):
    received: dict[str, trace_service_pb2.ExportTraceServiceRequest]


class _Receiver(BaseHTTPRequestHandler):
    server: _Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.received[self.path] = trace_service_pb2.ExportTraceServiceRequest.FromString(body)
        self.send_response(200)
        self.end_headers()

    log_message: Callable[..., None] = lambda *_: None


@pytest.fixture
def collector() -> Iterator[_Collector]:
    with _Collector(("127.0.0.1", 0), _Receiver) as server:
        server.received = {}
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("path", ["", "/"])
def test_a_collector_that_speaks_http_gets_the_spans(
    collector: _Collector, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{collector.server_port}{path}")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
    tracing = setup_tracing(load_settings(context="orders"))
    with tracing.step("handle", [_TRACE]):
        pass
    tracing.close()
    (resource,) = collector.received["/v1/traces"].resource_spans
    (span,) = resource.scope_spans[0].spans
    assert (span.name, span.trace_id.hex()) == ("handle", "a" * 32)


def test_a_protocol_that_is_not_spoken_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")
    with pytest.raises(ConfigurationError, match=r"OTEL_EXPORTER_OTLP_PROTOCOL.*'grpc' or 'http/protobuf'"):
        load_settings()
