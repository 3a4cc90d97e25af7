"""The installation of the storm of faults: two processes of orders, and one of each other context."""

from __future__ import annotations

import asyncio
import os
import signal
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from intent.client import IntentClient
from intent.contracts import Registry
from intent.dev.platform import ContextService, LocalPlatform
from intent.dev.services import ServiceFailed
from intent.process.sockets import free_port

from ..store.standbys import Pair, standby_of
from ..support.databases import Database
from ..support.pooler import Pooler, pooler

__all__ = ["CONTEXTS", "Bed", "Process", "laid", "pooler_before", "through"]

CONTEXTS = ("inventory", "orders", "payments", "shipping")
_PATIENCE = 60.0
_STARTS = 5
_ROLES = ("customer", "service", "operator", "consumer", "consumer-all")
_ENVIRONMENT = {
    "PAYMENTS_PROVIDER_LATENCY_MS": "10",
    "PAYMENTS_PROVIDER_SLOW_MS": "200",
    "SHIPPING_CARRIER_LATENCY_MS": "10",
    "SHIPPING_CARRIER_SLOW_MS": "200",
    "SHIPPING_CARRIER_HAND_OVER_MS": "50",
    "SHIPPING_CARRIER_ARRIVE_MS": "50",
}


@dataclass(frozen=True, slots=True)
class Process:
    """A process of a context.

    Attributes:
        name: A name for people.
        service: The process.
        metrics_port: The port of its metrics and probes.
        release: The file with the number of its release.
    """

    name: str
    service: ContextService
    metrics_port: int
    release: Path

    @property
    def context(self) -> str:
        """Its context."""
        return self.service.context

    async def start(self) -> None:
        """Start it, and again while something that it needs is down too or the machine is slow."""
        for attempt in range(_STARTS):
            try:
                await asyncio.to_thread(self.service.start)
                return
            except ServiceFailed:
                if attempt == _STARTS - 1:
                    raise
                await asyncio.sleep(1)

    def problem(self) -> str:
        """Return why it is not ready; empty when it is."""
        if not self.service.process.alive:
            return f"it ended by itself: {self.service.process.last_log_line()}"
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}/readyz", timeout=5):
                return ""
        except urllib.error.HTTPError as error:
            return error.read().decode()
        except OSError as error:
            return str(error)

    @contextmanager
    def silent(self) -> Iterator[None]:
        """Stop it where it is for the duration of the block, as a host that hangs does."""
        pid = self.service.process.pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)


@dataclass
class Bed:
    """A running installation.

    Attributes:
        platform: PostgreSQL and Temporal.
        pair: PostgreSQL with its standby, which commits do not wait for unless a fault makes them.
        processes: The processes.
        pooler: PgBouncer between the processes and PostgreSQL, if there is one.
        clients: A client of each context; that of orders calls both of its processes in turn.
        folder: Logs and data.
    """

    platform: LocalPlatform
    pair: Pair
    processes: list[Process]
    pooler: Pooler | None
    clients: Mapping[str, IntentClient]
    folder: Path
    releases: int = field(default=0)

    @property
    def orders(self) -> list[Process]:
        """The processes of orders."""
        return self.of("orders")

    def of(self, context: str) -> list[Process]:
        """Return the processes of a context."""
        return [process for process in self.processes if process.context == context]


@asynccontextmanager
async def laid(folder: Path, *, pooled: bool = False) -> AsyncIterator[Bed]:
    """Run an installation for the duration of the block.

    Args:
        folder: Logs and data; every user may enter it.
        pooled: Whether PgBouncer is between the processes and PostgreSQL.
    """
    with ExitStack() as stack:
        platform = stack.enter_context(LocalPlatform(folder=folder))
        for context in CONTEXTS:
            await platform.prepare(context)
        pair = stack.enter_context(standby_of(platform.postgres, folder / "standby"))
        between = stack.enter_context(pooler_before(platform, CONTEXTS)) if pooled else None
        processes = [_process(platform, context, between) for context in ("orders", *CONTEXTS)]
        for process in processes:
            stack.callback(process.service.kill)
        await asyncio.gather(*(process.start() for process in processes))
        clients = {context: _client(context, processes) for context in CONTEXTS}
        try:
            yield Bed(platform, pair, processes, between, clients, folder)
        finally:
            for client in clients.values():
                await client.close()


def pooler_before(platform: LocalPlatform, contexts: Iterable[str]) -> AbstractContextManager[Pooler]:
    """Run PgBouncer before the server, for the roles of some contexts."""
    folder = platform.folder / "pgbouncer"
    folder.mkdir()
    databases = [
        Database(
            context,
            platform.postgres.dsn,
            *(platform.dsn(context, role) for role in ("owner", "service", "query")),
        )
        for context in contexts
    ]
    return pooler(platform.postgres, folder, *databases, size=40)


def _process(platform: LocalPlatform, context: str, between: Pooler | None) -> Process:
    metrics = free_port()
    release = platform.folder / f"release-{metrics}"
    release.write_text("0")
    module = "tests.chaos.later_release" if context == "orders" else "intent.cli"
    environment = {**_ENVIRONMENT, "INTENT_METRICS_PORT": str(metrics), "RELEASE_FILE": str(release)}
    if between is not None:
        environment |= through(between, platform, context)
    service = platform.service(context, module=module, environment=environment, log_level="warning")
    return Process(f"{context}:{service.port}", service, metrics, release)


def through(between: Pooler, platform: LocalPlatform, context: str) -> dict[str, str]:
    """Return the environment of a process whose connections lead through a pooler."""
    direct = platform.dsn(context, "service")
    return {
        "INTENT_DATABASE_URL": between.before(direct),
        "INTENT_QUERY_DATABASE_URL": between.before(platform.dsn(context, "query")),
        "INTENT_DATABASE_DIRECT_URL": direct,
    }


def _client(context: str, processes: list[Process]) -> IntentClient:
    targets = [process.service.target for process in processes if process.context == context]
    return IntentClient.connect(
        "ipv4:" + ",".join(targets), registry=Registry.load(), timeout=_PATIENCE, roles=_ROLES
    )
