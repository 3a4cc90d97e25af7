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
    """Listens on one port with several servers, among which the kernel spreads connections.

    A server of grpc.aio takes up one call per round of its event loop. When answers to a whole
    batch go out in one round, calls queue unseen behind it; so many servers take up as many.

    Args:
        count: How many servers.
        arguments: The arguments of each server.
        equip: Adds the handlers to a server.
    """

    def __init__(
        self, count: int, arguments: Sequence[tuple[str, int]], equip: Callable[[grpc.aio.Server], None]
    ) -> None:
        options = [*arguments, ("grpc.so_reuseport", int(count > 1))]
        with patient_threads():
            self._servers = [grpc.aio.server(options=options) for _ in range(count)]
        for server in self._servers:
            equip(server)

    def bind(self, host: str, port: int) -> int:
        """Take the port, which no other process may listen on; 0 takes a free one.

        Returns:
            The port.

        Raises:
            ConfigurationError: The port is taken, or the address is none of this machine.
        """
        try:
            if port:
                _require_free(host, port)
            for server in self._servers:
                port = server.add_insecure_port(address(host, port))
        except (OSError, RuntimeError) as error:
            raise ConfigurationError(
                f"cannot listen on {address(host, port)}: the port is taken or the address is none of this "
                "machine; set another port"
            ) from error
        return port

    async def start(self) -> None:
        """Serve."""
        for server in self._servers:
            await server.start()

    async def stop(self, grace: float | None) -> None:
        """Take no more calls, and waits for those under way; see `grpc.aio.Server.stop`."""
        await asyncio.gather(*(server.stop(grace) for server in self._servers))

    async def wait(self) -> None:
        """Wait until they are stopped."""
        await asyncio.gather(*(server.wait_for_termination() for server in self._servers))


def address(host: str, port: int) -> str:
    """Return an address as gRPC writes it."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _require_free(host: str, port: int) -> None:
    """Look whether anybody listens on a port; servers that share it would not notice.

    Raises:
        OSError: Somebody does, or the address is none of this machine.
    """
    family, kind, _, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, kind) as probe:
        # As servers do: a connection that is only closing must not count as a listener.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(where)
