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
