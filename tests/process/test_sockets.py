"""Free ports are drawn once, whether somebody listens on them yet or not."""

from __future__ import annotations

import subprocess
import sys

import pytest
from intent.process import sockets

DRAWN = range(15000, 15020)
"""Four more than are drawn: something else on the machine may listen there."""
OTHER = f"""
from intent.process import sockets
sockets._DRAWN_FROM = range({DRAWN.start}, {DRAWN.stop})
print(*sockets.free_ports(4))
input()
"""


def test_no_port_is_drawn_twice_by_any_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "_DRAWN_FROM", DRAWN)
    drawn = [*sockets.free_ports(4), *sockets.free_ports(4)]
    with subprocess.Popen(
        [sys.executable, "-c", OTHER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        drawn += map(int, other.stdout.readline().split())
        drawn += sockets.free_ports(4)
        other.communicate("\n")
    assert len(set(drawn)) == len(drawn) == 16
    assert sockets.free_ports(4), "what the process that has ended drew is free again"
