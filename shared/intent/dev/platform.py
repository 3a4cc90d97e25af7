"""PostgreSQL, Temporal and context processes on this machine, for tests and benchmarks.

Everything is real, and everything can be killed.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Self

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from intent.contracts import Registry
from intent.dev.services import ManagedProcess, Postgres, TemporalServer
from intent.model import load_context
from intent.process.schema import prepare_schema
from intent.process.sockets import free_port
from intent.store.migrations.provisioning import Passwords

__all__ = ["ContextService", "LocalPlatform"]

_PASSWORDS = Passwords(owner="owner", service="service", query="query")
_READY = 60.0
_HOST = "127.0.0.1"


class ContextService:
    """A process of one context.

    Attributes:
        context: The context.
        port: Its gRPC port on the loopback interface.
        process: The process.
    """

    def __init__(self, context: str, port: int, process: ManagedProcess) -> None:
        self.context = context
        self.port = port
        self.process = process
        self.credentials: grpc.ChannelCredentials | None = None
        """How it is asked whether it is ready, when its settings make it speak TLS."""

    @property
    def target(self) -> str:
        """Where clients connect."""
        return f"{_HOST}:{self.port}"

    def start(self) -> ContextService:
        """Start the process and wait until it is ready.

        Raises:
            ServiceFailed: It ended or did not become ready; the message has its last log line.
        """
        self.process.start()
        self.process.wait_until(self.ready, _READY)
        return self

    def stop(self) -> None:
        """Stop the process gracefully: it finishes the work in flight."""
        self.process.stop()

    def kill(self) -> None:
        """Kill the process at once, as kill -9 does."""
        self.process.kill()

    def kill_and_start(self) -> None:
        """Kill the process and start it again on its port."""
        self.kill()
        self.start()

    def ready(self) -> bool:
        """Return whether the process reports itself as healthy."""
        with self._channel() as channel:
            health = health_pb2_grpc.HealthStub(channel)
            try:
                reply = health.Check(health_pb2.HealthCheckRequest(), timeout=2)
            except grpc.RpcError:
                return False
        serving: bool = reply.status == health_pb2.HealthCheckResponse.SERVING
        return serving

    def _channel(self) -> grpc.Channel:
        if self.credentials is None:
            return grpc.insecure_channel(self.target)
        return grpc.secure_channel(self.target, self.credentials)

    def __enter__(self) -> ContextService:
        """Start the process."""
        return self.start()

    def __exit__(self, *_: object) -> None:
        """Stop the process."""
        self.stop()


class LocalPlatform:
    """PostgreSQL and Temporal, prepared for context processes; a context manager.

    Args:
        durable: False gives up PostgreSQL's safety against power loss for speed.
        keep_workflows: False keeps Temporal's state in memory, so that a restart loses it.
        folder: The folder of data and logs; None: a folder that is removed at the end.
        dynamic_config: Temporal's dynamic configuration, by key.
    """

    def __init__(
        self,
        *,
        durable: bool = True,
        keep_workflows: bool = True,
        folder: Path | None = None,
        dynamic_config: Mapping[str, object] | None = None,
    ) -> None:
        self._temporary = tempfile.TemporaryDirectory(prefix="intent-", ignore_cleanup_errors=True)
        self.folder = folder or Path(self._temporary.name)
        self._keeps = folder is not None
        # PostgreSQL does not run as root: its user must be able to enter its folder.
        self.folder.chmod(0o755)
        self._ports: dict[str, int] = {}
        self._served: set[str] = set()
        self.postgres = Postgres(self.folder / "postgres", durable=durable)
        self.temporal = TemporalServer(
            log=self.folder / "temporal.log",
            database=self.folder / "temporal.db" if keep_workflows else None,
            dynamic_config=dynamic_config,
        )

    def __enter__(self) -> Self:
        """Start both."""
        self.postgres.start()
        self.temporal.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop both and remove the temporary folder."""
        if self._keeps:
            self.temporal.stop()
        else:
            self.temporal.kill()
        self.postgres.stop()
        self._temporary.cleanup()

    async def prepare(self, context: str) -> None:
        """Provision and migrate a context; existing data stays."""
        self._ports.setdefault(context, free_port())
        bound = load_context(context).bind(Registry.load())
        await prepare_schema(
            bound, self.dsn(context, "owner"), admin_url=self.postgres.dsn, passwords=_PASSWORDS
        )

    def dsn(self, context: str, role: str) -> str:
        """Return the DSN of a context's role: ``owner``, ``service`` or ``query``."""
        return self.postgres.dsn_for(f"{context}_{role}", role)

    def settings(self, context: str, **further: str) -> dict[str, str]:
        """Return the settings of a context process as environment variables.

        Args:
            context: The context.
            further: More settings, by field name, e.g. ``lanes="2"``.
        """
        own = {
            "context": context,
            "dev": "true",
            "log_format": "json",
            "metrics_port": "off",
            "admin_database_url": self.postgres.dsn,
            "owner_database_url": self.dsn(context, "owner"),
            "database_url": self.dsn(context, "service"),
            "query_database_url": self.dsn(context, "query"),
            "context_addresses": ",".join(f"{name}={_HOST}:{port}" for name, port in self._ports.items()),
            **further,
        }
        return {
            "TEMPORAL_ADDRESS": self.temporal.address,
            "INTENT_DEV_DATA": str(self.folder),
            **{f"INTENT_{name.upper()}": value for name, value in own.items()},
        }

    def service(
        self,
        context: str,
        *,
        port: int | None = None,
        module: str = "intent.cli",
        environment: Mapping[str, str] | None = None,
        **further: str,
    ) -> ContextService:
        """Return a context process that is not started yet.

        Args:
            context: The context; `prepare` it first.
            port: Its gRPC port; None: the one that other contexts know, or a free one for further
                processes.
            module: The module to run with the arguments of the command line.
            environment: Variables besides the settings.
            further: More settings, by field name.
        """
        port = port or self._port(context)
        process = ManagedProcess(
            f"context {context}",
            [sys.executable, "-m", module, "serve", context],
            self.folder / f"{context}-{port}.log",
            environment={
                **os.environ,
                **self.settings(context, port=str(port), **further),
                **(environment or {}),
            },
            grace=60,
        )
        return ContextService(context, port, process)

    def _port(self, context: str) -> int:
        if context in self._served or context not in self._ports:
            return free_port()
        self._served.add(context)
        return self._ports[context]
