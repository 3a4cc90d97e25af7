"""A folder in memory for the data of servers: on a disk, most of the time of a test is its database's."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MEMORY = Path("/dev/shm")
PREFIX = "intent-tests-in-memory-"
_GIB = 1024**3
_ROOM = 6 * _GIB
"""Free space from which on the folder is used: several servers, each with a log of up to a GiB."""


@contextmanager
def temporary_files_in_memory() -> Iterator[None]:
    """Keep temporary files in memory during the block, those of child processes too, if there is room.

    It leaves a TMPDIR that somebody chose, and pytest's own folders, where they are: they may become large.
    """
    if "TMPDIR" in os.environ or not _has_room():
        yield
        return
    _remove_leftovers()
    folder = MEMORY / f"{PREFIX}{os.getpid()}"
    folder.mkdir()
    folder.chmod(0o1777)
    before = tempfile.gettempdir()
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", before)
    os.environ["TMPDIR"] = tempfile.tempdir = str(folder)
    try:
        yield
    finally:
        del os.environ["TMPDIR"]
        tempfile.tempdir = before
        shutil.rmtree(folder, ignore_errors=True)


def _has_room() -> bool:
    """Return whether the folder is there, programs run in it, and it and the memory are large enough."""
    try:
        status = os.statvfs(MEMORY)
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return False
    available = next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable")), 0)
    free = status.f_bavail * status.f_frsize
    return min(free, available) >= _ROOM and not status.f_flag & os.ST_NOEXEC


def _remove_leftovers() -> None:
    """Remove the folders of runs that were killed."""
    for folder in MEMORY.glob(f"{PREFIX}*"):
        if not Path(f"/proc/{folder.name.removeprefix(PREFIX)}").exists():
            shutil.rmtree(folder, ignore_errors=True)
