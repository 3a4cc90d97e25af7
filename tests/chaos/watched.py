"""Memory of a process, and how long it holds its event loop, both as seen from outside.

As a program (PORT PID) it asks for ``/healthz`` every 20 ms until its standard input ends, and prints the
number of answers and the longest wait for one, in seconds. The time for which the machine let the
process or the program wait for a processor is left out: that is the noise of other programs.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread

__all__ = ["Loop", "loop_watched", "resident"]

_EVERY = 0.02
_PATIENCE = 30.0


def resident(pid: int) -> int:
    """Return the resident memory of a process, in bytes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise AssertionError(f"process {pid} has ended")


@dataclass
class Loop:
    """How an event loop was seen.

    Attributes:
        answers: How many probes it answered.
        held: The longest time for which it was held, in seconds.
    """

    answers: int = 0
    held: float = 0.0


@contextmanager
def loop_watched(port: int, pid: int) -> Iterator[Loop]:
    """Watch the event loop of a process for the duration of the block; then the figures are there."""
    loop = Loop()
    command = [sys.executable, "-m", "tests.chaos.watched", str(port), str(pid)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        assert program.stdin is not None
        program.stdout.readline()
        yield loop
        program.stdin.close()
        found = json.loads(program.stdout.readline())
    loop.answers, loop.held = found["answers"], found["held"]


def _main(port: int, pid: int) -> None:
    over = Event()

    def until_input_ends() -> None:
        sys.stdin.read()
        over.set()

    Thread(target=until_input_ends, daemon=True).start()
    answers, held = 0, 0.0
    _asked(port, pid)
    sys.stdout.write("watching\n")
    sys.stdout.flush()
    while not over.wait(_EVERY):
        held = max(held, _asked(port, pid))
        answers += 1
    sys.stdout.write(json.dumps({"answers": answers, "held": held}) + "\n")


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
