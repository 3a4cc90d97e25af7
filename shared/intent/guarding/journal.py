"""What a process is working on, in a file that outlives the process.

Each piece of an author's code is noted before it runs and cleared afterwards, by a write to a
mapped file: no system call, and no wait. When the process is killed, the kernel keeps what was
written, and the next process reads which piece was under way. Only a crash of the whole machine loses
it, and for that no piece of code is to blame.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from uuid import uuid4

from intent.errors import ConfigurationError

__all__ = ["LONGEST_NOTE", "Journal", "Slot", "read_leftovers"]

LONGEST_NOTE: Final = 1022
"""The most bytes that a slot keeps of a note."""

_SLOT: Final = 1024
_SLOTS: Final = 64
_END: Final = b"\xff"
"""Ends a note, which is UTF-8 and cannot contain it."""
_SUFFIX: Final = ".underway"


class Slot:
    """The place in a journal for what one thread is working on."""

    __slots__ = ("_map", "_start")

    def __init__(self, mapped: mmap.mmap, start: int) -> None:
        self._map = mapped
        self._start = start

    def begin(self, note: bytes) -> None:
        """Note what is under way: UTF-8, neither empty nor longer than `LONGEST_NOTE`."""
        start = self._start
        self._map[start : start + len(note) + 1] = note + _END

    def end(self) -> None:
        """Note that nothing is under way."""
        self._map[self._start] = 0


class Journal:
    """The notes of one process.

    Args:
        mapped: The mapped memory.
        file: The open file that is locked for as long as the process lives; None: no file.
        path: Its path, or None.
    """

    def __init__(self, mapped: mmap.mmap, file: int | None = None, path: Path | None = None) -> None:
        self._map = mapped
        self._file = file
        self._path = path
        self._free = [number * _SLOT for number in reversed(range(_SLOTS))]

    @classmethod
    def anonymous(cls) -> Journal:
        """Return a journal that nobody reads after the process has ended."""
        return cls(mmap.mmap(-1, _SLOT * _SLOTS))

    @classmethod
    def open(cls, folder: Path, name: str) -> Journal:
        """Create the journal of this process.

        Args:
            folder: The folder; created when it does not exist.
            name: What the processes that read each other's journals have in common.

        Raises:
            ConfigurationError: The folder cannot be used.
        """
        try:
            _own_folder(folder)
            path = folder / f"{name}-{uuid4().hex}{_SUFFIX}"
            new = path.with_suffix(".new")
            file = os.open(new, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            os.ftruncate(file, _SLOT * _SLOTS)
            fcntl.flock(file, fcntl.LOCK_EX)
            # Others take it for the journal of a dead process until it is locked.
            new.rename(path)
            return cls(mmap.mmap(file, _SLOT * _SLOTS), file, path)
        except OSError as error:
            raise ConfigurationError(
                f"cannot keep notes on work under way in {folder}: {error}; set INTENT_CRASH_FOLDER to a "
                "folder that belongs to the user of the process and outlives the process"
            ) from error

    def slot(self) -> Slot:
        """Take a free slot; when all are in use, one that nobody reads."""
        if not self._free:
            return Slot(mmap.mmap(-1, _SLOT), 0)
        return Slot(self._map, self._free.pop())

    def close(self) -> None:
        """Remove the file: the process ends with nothing under way."""
        if self._path is not None and self._file is not None:
            self._path.unlink(missing_ok=True)
            os.close(self._file)
            self._path = self._file = None


@contextmanager
def read_leftovers(folder: Path, name: str) -> Iterator[list[list[bytes]]]:
    """Yield what each of the processes that were killed was working on; remove their journals afterwards.

    Journals stay when the body raises, so that the next process reads them again.

    Args:
        folder: The folder of the journals.
        name: The name that was given to `Journal.open`.
    """
    notes: list[list[bytes]] = []
    dead: list[tuple[Path, int]] = []
    for path in sorted(folder.glob(f"{name}-*{_SUFFIX}")):
        file = _locked(path)
        if file is not None:
            dead.append((path, file))
            notes.append(_notes(os.read(file, _SLOT * _SLOTS)))
    try:
        yield notes
        for path, _ in dead:
            path.unlink(missing_ok=True)
    finally:
        for _, file in dead:
            os.close(file)


def _own_folder(folder: Path) -> None:
    """Create a folder that only this user can write; notes by others could condemn a command."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.stat()
    if found.st_uid != os.getuid() or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise PermissionError("other users can write to it")


def _locked(path: Path) -> int | None:
    """Open a journal and lock it; return None while its process lives or another one reads it."""
    try:
        file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(file)
        return None
    if not os.fstat(file).st_nlink:
        # Another process has read it, and removed it.
        os.close(file)
        return None
    return file


def _notes(content: bytes) -> list[bytes]:
    slots = [content[start : start + _SLOT] for start in range(0, len(content), _SLOT)]
    return [slot.split(_END, 1)[0] for slot in slots if slot[:1] not in (b"", b"\0")]
