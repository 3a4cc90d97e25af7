"""PostgreSQL, Temporal and a context process, for the length of a benchmark."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import psutil
from grpc_health.v1 import health_pb2, health_pb2_grpc

from intent.runtime.devservices import Postgres, TemporalServer, free_port

CONTEXT = "orders"


class ContextProcessHandle:
    """A context that runs as a process of its own."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def rss_mib(self) -> float:
        """Resident memory of the process and its children, in MiB."""
        process = psutil.Process(self._process.pid)
        return sum(p.memory_info().rss for p in (process, *process.children(recursive=True))) / 2**20


class Platform:
    """What the scenarios run on; a context manager."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="intent-bench-", ignore_cleanup_errors=True)
        folder = Path(self._folder.name)
        folder.chmod(0o755)
        self.folder = folder
        self.postgres = Postgres(folder / "postgres")
        self.temporal = TemporalServer(log=folder / "temporal.log")
        self.port = free_port()

    @property
    def target(self) -> str:
        return f"127.0.0.1:{self.port}"

    def __enter__(self) -> Platform:
        self.postgres.start()
        self.temporal.start()
        self._run("migrate", CONTEXT, "--provision")
        return self

    def __exit__(self, *_: object) -> None:
        self.temporal.stop()
        self.postgres.stop()
        self._folder.cleanup()

    def environment(self) -> dict[str, str]:
        """The settings of a context process, and of `intent migrate`."""
        dsn = self.postgres.dsn_for
        return {
            **os.environ,
            "INTENT_CONTEXT": CONTEXT,
            "INTENT_DEV": "true",
            "INTENT_LOG_LEVEL": "warning",
            "INTENT_PORT": str(self.port),
            "INTENT_METRICS_PORT": "0",
            "INTENT_ADMIN_DATABASE_URL": self.postgres.dsn,
            "INTENT_OWNER_DATABASE_URL": dsn(f"{CONTEXT}_owner", "owner"),
            "INTENT_DATABASE_URL": dsn(f"{CONTEXT}_service", "service"),
            "INTENT_QUERY_DATABASE_URL": dsn(f"{CONTEXT}_query", "query"),
            "TEMPORAL_ADDRESS": self.temporal.address,
        }

    @contextmanager
    def context(self) -> Iterator[ContextProcessHandle]:
        """Runs a context process, ready when this enters and gone when it leaves."""
        log = self.folder / "context.log"
        with log.open("ab") as out:
            process = subprocess.Popen(
                [sys.executable, "-m", "intent.cli", "serve", CONTEXT],
                env=self.environment(),
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        try:
            self._await_ready(process, log)
            yield ContextProcessHandle(process)
        finally:
            process.terminate()
            process.wait(60)

    def _await_ready(self, process: subprocess.Popen[bytes], log: Path) -> None:
        until = time.monotonic() + 60
        with grpc.insecure_channel(self.target) as channel:
            health = health_pb2_grpc.HealthStub(channel)
            while time.monotonic() < until and process.poll() is None:
                try:
                    reply = health.Check(health_pb2.HealthCheckRequest(), timeout=2)
                except grpc.RpcError:
                    time.sleep(0.1)
                    continue
                if reply.status == health_pb2.HealthCheckResponse.SERVING:
                    return
                time.sleep(0.1)
        raise RuntimeError(f"the context process did not get ready:\n{log.read_text()[-4000:]}")

    def _run(self, *arguments: str) -> None:
        subprocess.run([sys.executable, "-m", "intent.cli", *arguments], env=self.environment(), check=True)
