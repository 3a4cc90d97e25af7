"""Free TCP ports on the loopback interface."""

from __future__ import annotations

import random
import socket
from contextlib import ExitStack
from itertools import islice
from typing import Final

__all__ = ["LOOPBACK", "free_port", "free_ports"]

LOOPBACK = "127.0.0.1"
_DRAWN_FROM: Final = range(16384, 32768)


def free_port() -> int:
    """Return a port of the loopback interface that nobody currently listens on."""
    return free_ports(1)[0]


def free_ports(count: int) -> list[int]:
    """Return different ports of the loopback interface that nobody currently listens on.

    They are drawn from below the range that the system uses for outgoing connections, so that
    no such connection takes one before a service listens on it.
    """
    drawn = random.sample(_DRAWN_FROM, len(_DRAWN_FROM))
    with ExitStack() as stack:
        free = (port for port in drawn if _reserve(stack, port))
        return list(islice(free, count))


def _reserve(stack: ExitStack, port: int) -> bool:
    """Try to bind a port until the stack closes; return whether that succeeded."""
    probe = stack.enter_context(socket.socket())
    try:
        probe.bind((LOOPBACK, port))
    except OSError:
        return False
    return True
