"""Checks of the TCP ports of development services."""

from __future__ import annotations

import errno
import socket

from intent.errors import ConfigurationError
from intent.process.sockets import LOOPBACK

__all__ = ["PortTaken", "require_free"]


class PortTaken(ConfigurationError):
    """Another process uses a port that is needed.

    Attributes:
        port: The port.
    """

    def __init__(self, port: int, purpose: str) -> None:
        self.port = port
        super().__init__(f"port {port}, needed for {purpose}, is taken by another process")


def require_free(port: int, purpose: str) -> None:
    """Check that a port can be listened on.

    Raises:
        PortTaken: Another process listens on it.
    """
    with socket.socket() as probe:
        # As servers do: a closing connection must not count as a listener.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            if error.errno in {errno.EADDRINUSE, errno.EACCES}:
                raise PortTaken(port, purpose) from None
            raise
