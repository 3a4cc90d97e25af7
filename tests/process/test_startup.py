"""A process waits at its start for what it needs, and later serves what it still can."""

from __future__ import annotations

import asyncio
import contextlib
import json
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from uuid import uuid4

import grpc
import pytest
import pytest_asyncio
from google.protobuf.message import Message
from grpc_health.v1 import health_pb2, health_pb2_grpc
from intent.client import IntentClient
from intent.dev.platform import LocalPlatform
from intent.errors import CommandError, ConfigurationError, DeadlineExceeded
from intent.model import BoundContext
from intent.process.assembly import ContextProcess
from intent.process.sockets import free_ports
from intent.settings.config import Settings, load_settings
from intent_contracts.orders.v1 import GetOrder, OrderView

from ..support.command_path import eventually, place
from ..support.databases import Database

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


@pytest_asyncio.fixture(scope="module")
async def platform() -> AsyncIterator[LocalPlatform]:
    with LocalPlatform(durable=False) as running:
        await running.prepare("orders")
        running.temporal.stop()
        running.postgres.stop()
        yield running


@dataclass
class Seen:
    """A process from outside.

    Attributes:
        port: Its gRPC port.
        metrics: The port of its metrics.
        client: A caller.
    """

    port: int
    metrics: int
    client: IntentClient

    async def get(self, path: str) -> tuple[int, str]:
        """Return the status and the body of a path; 0 where nothing listens."""

        def get() -> tuple[int, str]:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics}{path}", timeout=30) as answer:
                    return answer.status, answer.read().decode()
            except urllib.error.HTTPError as error:
                return error.code, error.read().decode()
            except urllib.error.URLError:
                return 0, ""

        return await asyncio.to_thread(get)

    async def readyz(self) -> tuple[int, Mapping[str, str]]:
        """Return the status and the problems."""
        status, body = await self.get("/readyz")
        return status, json.loads(body)["problems"] if body else {}

    async def waits_for(self, name: str, reason: str) -> None:
        """Wait until it says that it is not ready because of something."""

        async def said() -> bool:
            status, problems = await self.readyz()
            return status == 503 and reason in problems.get(name, "")

        await eventually(said, 60)
        assert (await self.get("/healthz"))[0] == 200
        assert (await self.get("/metrics"))[0] == 200

    async def is_ready(self, *problems: str) -> None:
        """Wait until it is ready, with these problems."""

        async def ready() -> bool:
            status, found = await self.readyz()
            return status == 200 and sorted(found) == sorted(problems)

        await eventually(ready, 60)

    async def health(self, service: str = "") -> int:
        """Return the health of a service."""
        async with grpc.aio.insecure_channel(f"127.0.0.1:{self.port}") as channel:
            request = health_pb2.HealthCheckRequest(service=service)
            status: int = (await health_pb2_grpc.HealthStub(channel).Check(request)).status
            return status

    async def execute(self, command: Message) -> int:
        """Execute a command and return its position."""
        return (await self.client.execute(command, timeout=30)).position


@contextlib.asynccontextmanager
async def seen() -> AsyncIterator[Seen]:
    port, metrics = free_ports(2)
    async with IntentClient.connect(f"127.0.0.1:{port}", tenant="acme") as client:
        yield Seen(port, metrics, client)


def settings_of(platform: LocalPlatform, process: Seen, monkeypatch: pytest.MonkeyPatch) -> Settings:
    further = {"metrics_port": str(process.metrics), "unavailable_after": "2"}
    for name, value in platform.settings("orders", port=str(process.port), **further).items():
        monkeypatch.setenv(name, value)
    return load_settings(context="orders")


async def test_a_process_waits_for_postgresql_and_temporal_and_later_serves_queries_without_temporal(
    platform: LocalPlatform, bound: BoundContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with seen() as process, contextlib.AsyncExitStack() as stack:
        own = ContextProcess(settings_of(platform, process, monkeypatch), bound)
        starting = asyncio.create_task(stack.enter_async_context(own.started()))
        await process.waits_for("PostgreSQL", "does not let the service in")
        assert await process.health() == NOT_SERVING
        with pytest.raises(DeadlineExceeded, match="this process is starting: PostgreSQL"):
            await process.client.execute(place("too-early"), timeout=0.5)
        await asyncio.to_thread(platform.postgres.start)
        await process.waits_for("Temporal", "Temporal does not answer")
        await asyncio.to_thread(platform.temporal.start)
        await starting
        await process.is_ready()
        position = await process.execute(place("first"))

        await asyncio.to_thread(platform.temporal.stop)
        await process.is_ready("temporal")
        query = GetOrder(order_id="first")
        assert (await process.client.query(query, OrderView, min_position=position)).order_id == "first"
        with pytest.raises(CommandError, match=r"UNAVAILABLE|STILL_WAITING"):
            await process.client.execute(place("second"), timeout=4)
        health = [await process.health(name) for name in ("", "orders.v1.Orders", "intent.v1.Commands")]
        assert health == [SERVING, SERVING, NOT_SERVING]

        await asyncio.to_thread(platform.temporal.start)
        await process.is_ready()
        assert await process.execute(place("third")) > position


async def test_a_process_that_waits_ends_at_once_when_it_is_told_to(
    platform: LocalPlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform.postgres.stop()
    async with seen() as process:
        service = platform.service("orders", port=process.port, metrics_port=str(process.metrics))
        service.process.start()
        try:
            await process.waits_for("PostgreSQL", "does not let the service in")
            service.process.ask_to_stop()
            await asyncio.to_thread(service.process.wait_for_end, 15)
            assert service.process.exit_code == 0
        finally:
            service.process.kill()
    said = [line for line in service.process.log.read_text().splitlines() if "waiting for PostgreSQL" in line]
    assert len(said) == 1, "the reason is logged once"


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"temporal_namespace": "nowhere"}, "Temporal has no namespace nowhere"),
        ({"temporal_address": "not an address"}, "not an address cannot be the address of Temporal"),
    ],
)
async def test_what_waiting_does_not_correct_ends_the_process(
    settings: Settings, bound: BoundContext, wrong: dict[str, str], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        async with ContextProcess(settings.model_copy(update=wrong), bound).started():
            pass


async def test_a_password_that_is_refused_may_be_rotated(
    settings: Settings, bound: BoundContext, database: Database
) -> None:
    refused = settings.model_copy(update={"database_url": database.service.replace("secret", uuid4().hex)})
    known = [refused]
    process = ContextProcess(refused, bound, read_again=lambda: known[-1])
    starting = asyncio.create_task(_started(process))

    async def says_why() -> bool:
        ready, problems = process.readiness()
        return not ready and "password authentication failed" in problems.get("PostgreSQL", "")

    await eventually(says_why)
    known.append(settings)
    await starting


async def _started(process: ContextProcess) -> None:
    async with process.started():
        pass
