"""The HTTP endpoint of a process: ``/metrics``, ``/healthz`` and ``/readyz``."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final

from intent.errors import ConfigurationError

__all__ = ["MetricsEndpoint"]

_log: Final = logging.getLogger(__name__)
_TIMEOUT: Final = 5.0
_LINES: Final = 100
_TEXT: Final = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True, slots=True)
class _Answer:
    status: str
    kind: str
    body: bytes


class MetricsEndpoint:
    """HTTP server of metrics and probes.

    ``/healthz`` answers 200 while the process's event loop runs. ``/readyz`` answers 200 while the
    process can do something useful, else 503; it names the problems in either case.
    """

    def __init__(
        self,
        text: Callable[[], bytes],
        readiness: Callable[[], tuple[bool, Mapping[str, str]]],
        *,
        host: str,
        port: int,
        temporal: str | None = None,
    ) -> None:
        """Describe the endpoint; `start` opens it.

        Args:
            text: Returns the process's own metrics.
            readiness: Returns whether the process is ready, and the problems, by name.
            host: The address to listen on.
            port: The port; 0 takes a free one.
            temporal: The address at which the Temporal SDK serves its metrics, ``host:port``, or None.
        """
        self._text = text
        self._readiness = readiness
        self._host = host
        self._temporal = temporal
        self._server: asyncio.Server | None = None
        self.port = port

    async def start(self) -> None:
        """Start to listen.

        Raises:
            ConfigurationError: The port is taken.
        """
        try:
            self._server = await asyncio.start_server(self._serve, self._host, self.port, limit=16 * 1024)
        except OSError as error:
            raise ConfigurationError(
                f"cannot serve metrics on {self._host}:{self.port}: {error.strerror}; "
                "set INTENT_METRICS_PORT to another port, or to off"
            ) from error
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Close the endpoint."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_TIMEOUT):
                path = await _path(reader)
                answer = await self._answer(path)
                writer.write(_response(answer))
                await writer.drain()
        except (TimeoutError, ConnectionError, ValueError, asyncio.IncompleteReadError) as error:
            _log.debug("a request to the metrics endpoint failed: %s", error)
        finally:
            writer.close()

    async def _answer(self, path: str) -> _Answer:
        routes: dict[str, Callable[[], Awaitable[_Answer]]] = {
            "/metrics": self._metrics,
            "/healthz": self._healthz,
            "/readyz": self._readyz,
        }
        route = routes.get(path)
        if route is None:
            return _Answer("404 Not Found", "text/plain", f"try one of {', '.join(routes)}\n".encode())
        return await route()

    async def _metrics(self) -> _Answer:
        return _Answer("200 OK", _TEXT, self._text() + await self._temporal_metrics())

    async def _healthz(self) -> _Answer:
        return _Answer("200 OK", "text/plain", b"ok\n")

    async def _readyz(self) -> _Answer:
        ready, problems = self._readiness()
        body = json.dumps({"ready": ready, "problems": dict(problems)}).encode() + b"\n"
        return _Answer("200 OK" if ready else "503 Service Unavailable", "application/json", body)

    async def _temporal_metrics(self) -> bytes:
        if self._temporal is None:
            return b""
        try:
            return await _get(self._temporal, "/metrics")
        except (OSError, EOFError, ValueError) as error:
            return f"# the Temporal SDK's metrics cannot be read: {error}\n".encode()


async def _path(reader: asyncio.StreamReader) -> str:
    """Read a request, ignoring its headers; return the path, empty when the request is invalid."""
    request = (await reader.readline()).split()
    for _ in range(_LINES):
        if (await reader.readline()).strip() == b"":
            break
    if len(request) != 3 or request[0] not in {b"GET", b"HEAD"}:
        return ""
    return request[1].split(b"?")[0].decode("ascii", "replace")


def _response(answer: _Answer) -> bytes:
    head = (
        f"HTTP/1.1 {answer.status}\r\nContent-Type: {answer.kind}\r\n"
        f"Content-Length: {len(answer.body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + answer.body


async def _get(address: str, path: str) -> bytes:
    """Return the body of a document on this machine.

    Raises:
        OSError: Nothing answers.
        ValueError: The status of the answer is not 200.
    """
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(f"GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n".encode())
        await writer.drain()
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    finally:
        writer.close()
    if b" 200 " not in head.split(b"\r\n", 1)[0] + b" ":
        raise ValueError(head.split(b"\r\n", 1)[0].decode("ascii", "replace"))
    return body
