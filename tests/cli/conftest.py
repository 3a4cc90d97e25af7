"""One `intent dev` for the tests of the command line, with a collector of traces."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest
from intent.dev import DevState
from intent.dev.services.process import launched
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import (
    TraceServiceServicer,
    add_TraceServiceServicer_to_server,
)

from .running import Done, environment, intent, wait_until


@dataclass
class Collector(TraceServiceServicer):
    """Receives traces over OTLP.

    Attributes:
        spans: The spans that it received.
        port: The port that it listens on.
    """

    spans: list[Any] = field(default_factory=list)
    port: int = 0

    def Export(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Store spans."""
        for resource in request.resource_spans:
            for scope in resource.scope_spans:
                self.spans.extend(scope.spans)
        return ExportTraceServiceResponse()


@pytest.fixture(scope="package")
def collector() -> Iterator[Collector]:
    """Return a collector of traces on a free port."""
    collecting = Collector()
    server = grpc.server(ThreadPoolExecutor(2))
    add_TraceServiceServicer_to_server(collecting, server)  # type: ignore[no-untyped-call]
    collecting.port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield collecting
    server.stop(None)


@dataclass(frozen=True)
class Dev:
    """A running `intent dev`.

    Attributes:
        process: Its process.
        folder: Its data.
        output: The file with its output.
    """

    process: subprocess.Popen[bytes]
    folder: Path
    output: Path

    @property
    def state(self) -> DevState:
        """The state that it publishes for other commands."""
        state = DevState.read(self.folder)
        assert state is not None
        return state

    def run(self, *arguments: str, stdin: str = "", **variables: str) -> Done:
        """Run another command beside it."""
        env = environment(INTENT_DEV_DATA=str(self.folder), **variables)
        return intent(*arguments, stdin=stdin, env=env)

    def children(self) -> list[int]:
        """Return the ids of its processes."""
        pid = self.process.pid
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@contextmanager
def running_dev(folder: Path, *arguments: str, **variables: str) -> Iterator[Dev]:
    """Start `intent dev` on free ports, wait until everything runs, and end it as Ctrl-C does.

    It ends with this process, too: a run of tests that is interrupted or killed leaves nothing behind.
    """
    output = folder / "output"
    command = [sys.executable, "-m", "intent.cli", "dev", "--port-base", "0", "--data", str(folder)]
    with output.open("ab") as out:
        process = subprocess.Popen(
            launched([*command, *arguments]),
            stdout=out,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env=environment(**variables),
        )

    def ready() -> bool:
        assert process.poll() is None, output.read_text()
        return DevState.read(folder) is not None

    try:
        wait_until(ready, 300, "intent dev runs")
        yield Dev(process, folder, output)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(90)


@pytest.fixture(scope="package")
def dev_folder() -> Iterator[Path]:
    """Return a folder that every user may enter."""
    folder = Path(tempfile.mkdtemp(prefix="intent-dev-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="package")
def dev(dev_folder: Path, collector: Collector) -> Iterator[Dev]:
    """Run `intent dev`, which sends traces to the collector, and end it as Ctrl-C does."""
    with running_dev(
        dev_folder,
        OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{collector.port}",
        OTEL_BSP_SCHEDULE_DELAY="200",
        # The tests hand over and deliver parcels themselves, so that nothing depends on speed.
        SHIPPING_CARRIER_REPORTS="0",
        SHIPPING_CARRIER_LATENCY_MS="0",
        PAYMENTS_PROVIDER_LATENCY_MS="0",
    ) as running:
        yield running
