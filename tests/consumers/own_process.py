"""A process that serves consumers as a process of its own, so that a test can suspend it.

Run as a module with the address for the service role and the context, it serves until it is killed.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from ..support.databases import Database
from .cluster import Process

_ROOT = Path(__file__).parents[2]


@dataclass
class OwnProcess:
    """A running one.

    Attributes:
        target: Where it is served.
    """

    target: str
    _process: asyncio.subprocess.Process

    def suspend(self) -> None:
        """Stop all its threads, as a debugger or a frozen virtual machine does."""
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._process.send_signal(signal.SIGCONT)


@asynccontextmanager
async def own_process(database: Database) -> AsyncIterator[OwnProcess]:
    """Run one while the context manager is entered."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", __spec__.name, database.service, database.context),
        cwd=_ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        target = (await process.stdout.readline()).decode().strip()
        assert target, "it did not start"
        yield OwnProcess(target, process)
    finally:
        process.kill()
        await process.wait()


async def _serve(dsn: str, context: str) -> None:
    process = await Process.started(Database(context, "", "", dsn, ""))
    sys.stdout.write(f"{process.target}\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve(*sys.argv[1:]))
