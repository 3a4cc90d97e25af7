"""Memory of a process, and how long it holds its event loop, both as seen from outside.

As a program (PORT PID) it asks for ``/healthz`` every 20 ms, and answers each line of its standard input
with the longest wait since the line before, in seconds. The time for which the machine let the process or
the program wait for a processor is left out: that is the noise of other programs.
"""

from __future__ import annotations

import select
import socket
import subprocess
import sys
import time
from pathlib import Path

__all__ = ["LoopWatch", "resident"]

_EVERY = 0.02
_PATIENCE = 30.0


def resident(pid: int) -> int:
    """Return the resident memory of a process, in bytes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise AssertionError(f"process {pid} has ended")


class LoopWatch:
    """A program that watches the event loop of a process.

    Args:
        port: The port of the process's probes.
        pid: The process.
    """

    def __init__(self, port: int, pid: int) -> None:
        command = [sys.executable, "-m", "tests.chaos.watched", str(port), str(pid)]
        self._program = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.longest()

    def longest(self) -> float:
        """Return for how long the loop was held at the longest since the last call, in seconds."""
        assert self._program.stdin is not None
        assert self._program.stdout is not None
        self._program.stdin.write("\n")
        self._program.stdin.flush()
        return float(self._program.stdout.readline())

    def close(self) -> None:
        """End the program."""
        with self._program:
            self._program.kill()


def _main(port: int, pid: int) -> None:
    longest = 0.0
    while True:
        longest = max(longest, _asked(port, pid))
        if select.select([sys.stdin], [], [], _EVERY)[0]:
            if not sys.stdin.readline():
                return
            # What was asked just before is answered first.
            longest = max(longest, _asked(port, pid))
            sys.stdout.write(f"{longest}\n")
            sys.stdout.flush()
            longest = 0.0


def _asked(port: int, pid: int) -> float:
    """Return how long the answer took that the machine did not take."""
    began, noise = time.monotonic(), _waited_for_processor(pid) + _waited_for_processor(None)
    with socket.create_connection(("127.0.0.1", port), _PATIENCE) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        answer = connection.recv(1024)
    assert b" 200 " in answer.split(b"\r\n")[0], answer
    took = time.monotonic() - began
    return took - (_waited_for_processor(pid) + _waited_for_processor(None) - noise)


def _waited_for_processor(pid: int | None) -> float:
    """Return for how long a process's main thread was ready to run and did not, in seconds."""
    path = f"/proc/{pid}/task/{pid}/schedstat" if pid else "/proc/thread-self/schedstat"
    return int(Path(path).read_text().split()[1]) / 1e9


if __name__ == "__main__":
    _main(*map(int, sys.argv[1:]))
