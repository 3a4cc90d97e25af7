"""Free TCP ports on the loopback interface."""

from __future__ import annotations

import random
import socket
from collections import deque
from contextlib import ExitStack
from itertools import islice
from typing import Final

from intent.errors import ConfigurationError

__all__ = ["LOOPBACK", "free_port", "free_ports"]

LOOPBACK = "127.0.0.1"
_DRAWN_FROM: Final = range(16384, 32768)
_CLAIMS: Final[deque[socket.socket]] = deque()
"""What keeps other processes from drawing the ports that this one drew last, until it ends."""
_MOST_CLAIMS: Final = 256


def free_port() -> int:
    """Return a port of the loopback interface that nobody currently listens on."""
    return free_ports(1)[0]


def free_ports(count: int) -> list[int]:
    """Return different ports of the loopback interface that nobody currently listens on.

    They are drawn from below the range that the system uses for outgoing connections, so that
    no such connection takes one before a service listens on it. Nor does another draw, of whatever
    process: a service may need seconds until it listens.

    Raises:
        ConfigurationError: There are not so many.
    """
    drawn = random.sample(_DRAWN_FROM, len(_DRAWN_FROM))
    with ExitStack() as stack:
        free = (port for port in drawn if _reserve(stack, port) and _claim(port))
        found = list(islice(free, count))
    if len(found) < count:
        raise ConfigurationError(f"this machine has no {count} free ports; end what listens on its ports")
    return found


def _reserve(stack: ExitStack, port: int) -> bool:
    """Try to bind a port until the stack closes; return whether that succeeded."""
    probe = stack.enter_context(socket.socket())
    try:
        probe.bind((LOOPBACK, port))
    except OSError:
        return False
    return True


def _claim(port: int) -> bool:
    """Claim a port for this process; return whether no other draw has.

    The claim is a socket in the abstract namespace, which like the port belongs to the network
    namespace, leaves no file, and ends with the process.
    """
    claim = socket.socket(socket.AF_UNIX)
    try:
        claim.bind(f"\0intent-port-{port}")
    except OSError:
        claim.close()
        return False
    _CLAIMS.append(claim)
    if len(_CLAIMS) > _MOST_CLAIMS:
        _CLAIMS.popleft().close()
    return True
