"""Several gRPC servers that listen on the same ports of one process."""

from __future__ import annotations

import asyncio
import ctypes
import os
import socket
import struct
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from typing import Final, TypeAlias

import grpc

from intent.errors import ConfigurationError
from intent.service.threads import patient_threads

__all__ = ["Credentials", "Listeners", "address"]

Credentials: TypeAlias = Callable[[], grpc.ServerCredentials]
"""Returns the credentials of TLS, anew for each server."""

_OWN_FILES: Final = "/proc/self/fd"
_ATTACH_FILTER: Final = 26
"""Linux' SO_ATTACH_FILTER, which Python's socket module does not name."""
_DROP_ALL: Final = ctypes.create_string_buffer(struct.pack("HBBI", 0x06, 0, 0, 0))
"""A packet filter of one instruction: keep 0 bytes of every packet."""
_BACKLOG: Final = struct.Struct("24xI")
"""Where a listening socket's TCP_INFO has the number of connections that wait to be accepted."""
_ACCEPTING: Final = 0.01
"""Seconds between two looks at whether gRPC has accepted the connections that were waiting."""
_LOOKS: Final = 100
"""How many such looks at most: a stop does not wait for gRPC longer than a second."""


class Listeners:
    """Listens on each of its ports with several servers, among which the kernel distributes connections.

    A server of grpc.aio accepts one call per round of its event loop. While the answers to a whole
    batch are sent in one round, new calls queue behind it; several servers accept as many calls.

    Args:
        count: How many servers.
        arguments: The arguments of each server.
        most_calls: How many calls each server may have under way; gRPC refuses further ones.
        add_handlers: Adds the handlers to a server.
    """

    def __init__(
        self,
        count: int,
        arguments: Sequence[tuple[str, int]],
        most_calls: int,
        add_handlers: Callable[[grpc.aio.Server], None],
    ) -> None:
        options = [*arguments, ("grpc.so_reuseport", int(count > 1))]
        with patient_threads():
            self._servers = [
                grpc.aio.server(options=options, maximum_concurrent_rpcs=most_calls) for _ in range(count)
            ]
        for server in self._servers:
            add_handlers(server)
        self._ports: list[int] = []

    def bind(self, host: str, port: int, credentials: Credentials | None = None) -> int:
        """Bind a port, on which no other process may listen; 0 binds a free one.

        Args:
            host: The address.
            port: The port.
            credentials: For TLS; None: plain text.

        Returns:
            The port.

        Raises:
            ConfigurationError: The port is taken, or the address does not belong to this machine.
        """
        try:
            if port:
                _require_free(host, port)
            for server in self._servers:
                port = _added(server, address(host, port), credentials)
        except (OSError, RuntimeError) as error:
            raise ConfigurationError(
                f"cannot listen on {address(host, port)}: the port is taken or the address does not belong "
                "to this machine; set another port"
            ) from error
        self._ports.append(port)
        return port

    async def start(self) -> None:
        """Start serving."""
        for server in self._servers:
            await server.start()

    async def stop(self, grace: float | None) -> None:
        """Accept no more calls, and wait for those under way; see `grpc.aio.Server.stop`."""
        await asyncio.gather(*(server.stop(grace) for server in self._servers))

    def hang_up(self, staying: Collection[str] = ()) -> None:
        """Close the connections on which no answer is due.

        Their clients connect to another process. What they have sent and this process has not
        taken ends with UNAVAILABLE at their end, and may be repeated; gRPC itself would end it with
        CANCELLED, as if the caller had given it up.

        Args:
            staying: The peers with calls under way, as gRPC writes them; their connections stay.
        """
        # gRPC knows no peer any more where the connection has been lost.
        ports = {int(port) for peer in staying if (port := peer.rpartition(":")[2]).isdigit()}
        for connection in _sockets(self._ports, listening=False):
            with connection, suppress(OSError):
                if connection.getpeername()[1] not in ports:
                    connection.shutdown(socket.SHUT_RDWR)

    async def close_door(self) -> None:
        """Let no further connection be made, and wait until gRPC has accepted those made before.

        gRPC offers no such thing apart from stopping, which ends with CANCELLED what such a
        connection has sent. A socket that only listens receives nothing but requests to connect; once
        it drops them, a client repeats its request a second later and finds the port closed. To shut
        the socket down would do as well, but gRPC reports that as an error in the log.
        """
        for listening in _sockets(self._ports, listening=True):
            with listening, suppress(OSError):
                program = struct.pack("HP", 1, ctypes.addressof(_DROP_ALL))
                listening.setsockopt(socket.SOL_SOCKET, _ATTACH_FILTER, program)
                for _ in range(_LOOKS):
                    if not _backlog(listening):
                        break
                    await asyncio.sleep(_ACCEPTING)

    async def wait(self) -> None:
        """Wait until they are stopped."""
        await asyncio.gather(*(server.wait_for_termination() for server in self._servers))


def _added(server: grpc.aio.Server, where: str, credentials: Credentials | None) -> int:
    if credentials is None:
        return int(server.add_insecure_port(where))
    return int(server.add_secure_port(where, credentials()))


def _sockets(ports: Collection[int], *, listening: bool) -> Iterator[socket.socket]:
    """Yield a duplicate of each socket that listens on one of the ports, or is connected by one.

    gRPC keeps its sockets to itself; where there is no /proc, none are found.
    """
    for name in os.listdir(_OWN_FILES) if os.path.isdir(_OWN_FILES) else ():
        duplicate = _duplicate(f"{_OWN_FILES}/{name}")
        if duplicate is None:
            continue
        internet = duplicate.family in (socket.AF_INET, socket.AF_INET6)
        if internet and duplicate.getsockname()[1] in ports and _listens(duplicate) is listening:
            yield duplicate
        else:
            duplicate.close()


def _listens(found: socket.socket) -> bool:
    return bool(found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))


def _backlog(listening: socket.socket) -> int:
    information = listening.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _BACKLOG.size)
    return int(_BACKLOG.unpack(information)[0])


def _duplicate(file: str) -> socket.socket | None:
    """Return a duplicate of an open file of this process; None when it is no socket or closed by now."""
    try:
        if not os.readlink(file).startswith("socket:"):
            return None
        descriptor = os.dup(int(os.path.basename(file)))
    except OSError:
        return None
    try:
        return socket.socket(fileno=descriptor)
    except OSError:
        os.close(descriptor)
        return None


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
