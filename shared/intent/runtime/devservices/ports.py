"""Ports on the loopback interface."""

from __future__ import annotations

import errno
import random
import socket
from contextlib import ExitStack
from itertools import islice
from typing import Final

from intent.errors import ConfigurationError

__all__ = ["LOOPBACK", "PortTaken", "free_port", "free_ports", "require_free"]

LOOPBACK = "127.0.0.1"
_DRAWN_FROM: Final = range(16384, 32768)


class PortTaken(ConfigurationError):
    """A port that is needed is in use by another process.

    Attributes:
        port: The port.
    """

    def __init__(self, port: int, purpose: str) -> None:
        self.port = port
        super().__init__(f"port {port}, needed for {purpose}, is taken by another process")


def free_port() -> int:
    """Returns a port of the loopback interface that nobody listens on at the moment."""
    return free_ports(1)[0]


def free_ports(count: int) -> list[int]:
    """Returns different ports of the loopback interface that nobody listens on at the moment.

    They are drawn from below the range from which the system takes the ports of outgoing
    connections, so that none of these gets in the way until a service listens.
    """
    drawn = random.sample(_DRAWN_FROM, len(_DRAWN_FROM))
    with ExitStack() as stack:
        free = (port for port in drawn if _held(stack, port))
        return list(islice(free, count))


def _held(stack: ExitStack, port: int) -> bool:
    """Tells whether a port could be taken; if so it is held until the stack closes."""
    probe = stack.enter_context(socket.socket())
    try:
        probe.bind((LOOPBACK, port))
    except OSError:
        return False
    return True


def require_free(port: int, purpose: str) -> None:
    """Makes sure that a port can be listened on.

    Raises:
        PortTaken: Another process listens on it.
    """
    with socket.socket() as probe:
        # As servers do: a connection that is only closing must not count as a listener.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            if error.errno in {errno.EADDRINUSE, errno.EACCES}:
                raise PortTaken(port, purpose) from None
            raise
