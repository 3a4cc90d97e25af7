"""Free ports are drawn once, whether somebody listens on them yet or not."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Iterator

import pytest
from intent.errors import ConfigurationError
from intent.process import sockets

OTHER = """
import sys
from intent.process import sockets
sockets._DRAWN_FROM = range(*map(int, sys.argv[1:]))
print(*sockets.free_ports(4))
input()
"""


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> Iterator[range]:
    """Let ports be drawn from twenty, which are other ones in each process of tests."""
    first = 10_000 + os.getpid() % 300 * 20
    claims: deque[socket.socket] = deque()
    monkeypatch.setattr(sockets, "_DRAWN_FROM", range(first, first + 20))
    monkeypatch.setattr(sockets, "_CLAIMS", claims)
    yield sockets._DRAWN_FROM
    for claim in claims:
        claim.close()


def test_no_port_is_drawn_twice_by_any_process(few: range) -> None:
    drawn = [*sockets.free_ports(4), *sockets.free_ports(4)]
    with subprocess.Popen(
        [sys.executable, "-c", OTHER, str(few.start), str(few.stop)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout is not None
        others = [int(port) for port in other.stdout.readline().split()]
        drawn += others
        drawn += sockets.free_ports(4)
        other.communicate("\n")
    assert len(set(drawn)) == len(drawn) == 16
    assert all(map(sockets._claim, others)), "what the process that has ended drew is free again"


def test_too_few_free_ports_are_an_error(few: range) -> None:
    with pytest.raises(ConfigurationError, match="no 21 free ports"):
        sockets.free_ports(len(few) + 1)
