"""Several gRPC servers that listen on one port of one process."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Sequence

import grpc

from intent.errors import ConfigurationError
from intent.service.threads import patient_threads

__all__ = ["Listeners", "address"]


class Listeners:
    """Listens on one port with several servers, among which the kernel distributes connections.

    A server of grpc.aio accepts one call per round of its event loop. While the answers to a whole
    batch are sent in one round, new calls queue behind it; several servers accept as many calls.

    Args:
        count: How many servers.
        arguments: The arguments of each server.
        add_handlers: Adds the handlers to a server.
    """

    def __init__(
        self,
        count: int,
        arguments: Sequence[tuple[str, int]],
        add_handlers: Callable[[grpc.aio.Server], None],
    ) -> None:
        options = [*arguments, ("grpc.so_reuseport", int(count > 1))]
        with patient_threads():
            self._servers = [grpc.aio.server(options=options) for _ in range(count)]
        for server in self._servers:
            add_handlers(server)

    def bind(self, host: str, port: int) -> int:
        """Bind the port, on which no other process may listen; 0 binds a free one.

        Returns:
            The port.

        Raises:
            ConfigurationError: The port is taken, or the address does not belong to this machine.
        """
        try:
            if port:
                _require_free(host, port)
            for server in self._servers:
                port = server.add_insecure_port(address(host, port))
        except (OSError, RuntimeError) as error:
            raise ConfigurationError(
                f"cannot listen on {address(host, port)}: the port is taken or the address does not belong "
                "to this machine; set another port"
            ) from error
        return port

    async def start(self) -> None:
        """Start serving."""
        for server in self._servers:
            await server.start()

    async def stop(self, grace: float | None) -> None:
        """Accept no more calls, and wait for those under way; see `grpc.aio.Server.stop`."""
        await asyncio.gather(*(server.stop(grace) for server in self._servers))

    async def wait(self) -> None:
        """Wait until they are stopped."""
        await asyncio.gather(*(server.wait_for_termination() for server in self._servers))


def address(host: str, port: int) -> str:
    """Return an address as gRPC writes it."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _require_free(host: str, port: int) -> None:
    """Check that no other socket listens on a port; servers that share it would not notice.

    Raises:
        OSError: Another one does, or the address does not belong to this machine.
    """
    family, kind, _, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, kind) as probe:
        # As servers do: a connection that is only closing must not count as a listener.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(where)
