"""A real process of a context, which is asked again and again and must neither crash nor grow."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeAlias

import grpc
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.descriptor_pool import Default
from intent.client.retries import platform_error
from intent.contracts import Registry
from intent.dev.platform import ContextService, LocalPlatform

from ..chaos.watched import resident
from ..support.issuer import AUDIENCE
from .tokens import ISSUER, bearer, jwks

__all__ = ["GROWTH", "Call", "Target", "good_caller", "methods", "target"]

GROWTH: Final = 1.10
"""The most resident memory after all inputs, in proportion to that before."""
_PLATFORM: Final = ("Audit", "Commands", "Consumers", "Events", "Projections", "Sagas")
_PATIENCE: Final = 120.0
_STREAM_PATIENCE: Final = 0.2
_ANSWERS: Final = 3
_RINSES: Final = 10
_RINSE: Final = 300
_AT_ONCE: Final = 32
_DEFECTS: Final = frozenset({"INTERNAL", "UNKNOWN", "DATA_LOSS"})
_WRITING: Final = "Internal error from Core"
"""What gRPC's client says itself when a call ends while it writes."""
_SETTINGS: Final = {
    "INTENT_DEV": "false",
    "INTENT_IDENTITY_MODE": "token",
    "INTENT_IDENTITY_AUDIENCE": AUDIENCE,
    "INTENT_IDENTITY_ANY_TENANT_ROLE": "any",
    # What is kept on purpose stays little, so that what is left over is seen.
    "INTENT_CACHED_AGGREGATES": "100",
    "INTENT_LOG_LEVEL": "warning",
}
Pairs = Sequence[tuple[str, str | bytes]]
Call: TypeAlias = tuple[str, Sequence[bytes], Pairs]
"""A call: the method, the messages and the metadata."""


def methods(context: str) -> list[MethodDescriptor]:
    """Return every method that a context serves."""
    services = (f"{context}.v1.{context.title()}", *(f"intent.v1.{name}" for name in _PLATFORM))
    Registry.load()
    return [method for name in services for method in Default().FindServiceByName(name).methods]


@dataclass
class Target:
    """A process that is asked.

    Attributes:
        service: The process.
        context: Its context.
        codes: How often each status was the answer.
        before: Its resident memory once it was warm, in bytes.
    """

    service: ContextService
    context: str
    codes: Counter[str] = field(default_factory=Counter)
    before: int = 0
    _read: int = 0

    def __post_init__(self) -> None:
        self._runner = asyncio.Runner()
        self._channels = [self._runner.run(self._connected()) for _ in range(4)]
        self._turns = itertools.cycle(self._channels)
        self._streaming = {
            f"/{method.containing_service.full_name}/{method.name}": method
            for method in methods(self.context)
            if method.server_streaming
        }

    def close(self) -> None:
        """Close the connections."""
        for channel in self._channels:
            self._runner.run(channel.close())
        self._runner.close()

    def ask(self, calls: Sequence[Call]) -> list[str]:
        """Make calls at once, and return their statuses.

        Args:
            calls: The calls.

        Raises:
            AssertionError: One was answered with a defect or not at all, or the process crashed.
        """
        ended = self._runner.run(self._all(calls))
        self._lives()
        for (method, _, _), (code, said) in zip(calls, ended, strict=True):
            self.codes[code] += 1
            assert code not in _DEFECTS, f"{method}: {code}: {said}"
            assert code != "DEADLINE_EXCEEDED", f"{method} was not answered in {_PATIENCE:.0f} s: {said}"
        return [code for code, _ in ended]

    def resident(self) -> int:
        """Return the process's memory in bytes, after small calls that give back the space of large ones."""
        for _ in range(_RINSES):
            for _ in range(_RINSE // _AT_ONCE):
                call: Call = ("/intent.v1.Commands/Describe", [b""], [])
                self._runner.run(self._all([call] * _AT_ONCE))
            if 0 < self._memory() < GROWTH * self.before:
                break
        return self._memory()

    def _memory(self) -> int:
        pid = self.service.process.pid
        assert pid is not None
        return resident(pid)

    def _lives(self) -> None:
        """Raise AssertionError when the process has ended, or logged a defect since the last time."""
        process = self.service.process
        if not process.alive:
            said = f"the process ended ({process.exit_code}): {process.last_log_line()}"
            self.service.start()
            raise AssertionError(said)
        with process.log.open("rb") as log:
            log.seek(self._read)
            lines = log.read()
        self._read += len(lines)
        for line in lines.splitlines():
            assert not _is_defect(line), line.decode(errors="replace")

    async def _connected(self) -> grpc.aio.Channel:
        options = (("grpc.enable_retries", 0), ("grpc.use_local_subchannel_pool", 1))
        return grpc.aio.insecure_channel(self.service.target, options=options)

    async def _all(self, calls: Sequence[Call]) -> list[tuple[str, str]]:
        return await asyncio.gather(*(self._one(*call) for call in calls))

    async def _one(self, method: str, messages: Sequence[bytes], pairs: Pairs) -> tuple[str, str]:
        """Return how a call ends: its status, and what was said."""
        stream = method in self._streaming
        try:
            if stream:
                return await self._stream(method, messages, pairs)
            await next(self._turns).unary_unary(method)(messages[0], metadata=pairs, timeout=_PATIENCE)
        except grpc.aio.AioRpcError as error:
            if stream and error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
                return "OPEN", ""
            return _code(error)
        except (ValueError, TypeError, grpc.aio.UsageError, grpc.aio.InternalError) as error:
            # gRPC's client refuses to send it.
            return "UNSENT", str(error)
        return "OK", ""

    async def _stream(self, method: str, messages: Sequence[bytes], pairs: Pairs) -> tuple[str, str]:
        """Read the first answers of a stream, and leave it."""
        channel = next(self._turns)
        call: Any
        if self._streaming[method].client_streaming:
            call = channel.stream_stream(method)(metadata=pairs, timeout=_STREAM_PATIENCE)
            for message in messages:
                await call.write(message)
            await call.done_writing()
        else:
            call = channel.unary_stream(method)(messages[0], metadata=pairs, timeout=_STREAM_PATIENCE)
        for _ in range(_ANSWERS):
            if await call.read() is grpc.aio.EOF:
                return "OK", ""
        call.cancel()
        return "OPEN", ""


def _code(error: grpc.aio.AioRpcError) -> tuple[str, str]:
    if error.details() == _WRITING:
        return "UNSENT", _WRITING
    reason = platform_error(error).reason
    return error.code().name, f"{reason} {error.details()}"


def _is_defect(line: bytes) -> bool:
    """Return whether a line of the log is about a defect."""
    try:
        level = json.loads(line)["level"]
    except (ValueError, LookupError, TypeError):
        return b"Traceback" in line or b"Fatal" in line
    return level in ("error", "critical")


@contextmanager
def target(context: str, folder: Path) -> Iterator[Target]:
    """Run a process that believes the tokens of `tests.fuzz.tokens`, for the duration of the block."""
    keys = folder / "jwks.json"
    keys.write_text(json.dumps(jwks()))
    issuers = json.dumps([{"issuer": ISSUER, "jwks_file": str(keys)}])
    with LocalPlatform(folder=folder, durable=False, keep_workflows=False) as platform:
        asyncio.run(platform.prepare(context))
        environment = {**_SETTINGS, "INTENT_IDENTITY_ISSUERS": issuers}
        with platform.service(context, environment=environment) as service:
            asked = Target(service, context)
            try:
                yield asked
            finally:
                asked.close()


def good_caller() -> list[tuple[str, str | bytes]]:
    """Return the metadata of a caller who may do everything."""
    return [bearer(), ("x-tenant-id", "acme")]
