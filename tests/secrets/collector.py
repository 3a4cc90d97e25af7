"""A collector of traces that speaks OTLP over gRPC, and keeps what it gets."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc

__all__ = ["Collector", "collector"]


@dataclass
class Collector(trace_service_pb2_grpc.TraceServiceServicer):
    """What it got.

    Attributes:
        port: Its port.
        spans: The requests, encoded.
        headers: The metadata of the requests.
    """

    port: int = 0
    spans: list[bytes] = field(default_factory=list)
    headers: list[str] = field(default_factory=list)
    _more: threading.Condition = field(default_factory=threading.Condition)

    def Export(self, request: Any, context: Any) -> Any:  # noqa: N802 - so gRPC calls it
        """Keep spans."""
        with self._more:
            self.spans.append(request.SerializeToString())
            self.headers.append(str(context.invocation_metadata()))
            self._more.notify_all()
        return trace_service_pb2.ExportTraceServiceResponse()

    def wait_for(self, words: bytes) -> None:
        """Wait until a span has some words in it."""
        with self._more:
            assert self._more.wait_for(lambda: any(words in each for each in self.spans), 60), words


@contextmanager
def collector() -> Iterator[Collector]:
    """Run a collector for the duration of the block."""
    server = grpc.server(ThreadPoolExecutor(2))
    collecting = Collector()
    collecting.port = server.add_insecure_port("127.0.0.1:0")
    add: Any = trace_service_pb2_grpc.add_TraceServiceServicer_to_server
    add(collecting, server)
    server.start()
    try:
        yield collecting
    finally:
        server.stop(None).wait()
