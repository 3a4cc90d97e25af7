"""Launcher that becomes another program, which ends with its parent and runs as a given user.

Run as a script: ``python launch.py PARENT SIGNAL USER PROGRAM ARGUMENT…``, where USER is
``UID:GID``, ``UID:GID:enter`` or ``-`` for no change. This could be done between fork and exec,
but a fork of a process with gRPC's threads is not safe; a program of its own needs no fork. It
imports nothing of Intent.
"""

from __future__ import annotations

import ctypes
import os
import sys

__all__ = ["launch"]

_PR_SET_PDEATHSIG = 1
_PR_SET_KEEPCAPS = 8
_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE = 47, 2
_CAP_DAC_OVERRIDE = 1
_CAPABILITIES_VERSION = 0x20080522


def launch(parent: int, number: int, user: str, command: list[str]) -> None:
    """Replace this process with the command; never return.

    Args:
        parent: The id of the process with which the command ends.
        number: The signal that the command then gets.
        user: ``UID:GID`` to run as, or ``-``; with ``:enter`` after it the command may enter folders
            that are closed to that user.
        command: The program's path and its arguments.
    """
    if user != "-":
        uid, gid, *enter = user.split(":")
        if enter:
            _system("prctl", _PR_SET_KEEPCAPS, 1, 0, 0, 0)
        os.setgroups([])
        os.setgid(int(gid))
        os.setuid(int(uid))
        if enter:
            _keep_entering()
    if sys.platform == "linux":
        # After the change of user, which clears this setting.
        _system("prctl", _PR_SET_PDEATHSIG, number, 0, 0, 0)
    if os.getppid() == parent:
        os.execv(command[0], command)  # noqa: S606 - the command is our own


def _keep_entering() -> None:
    """Keep one of root's rights across the change of user and exec: to enter and read what is closed.

    No further right is kept: with more, the kernel would drop the signal of the parent's death.
    """
    right = 1 << _CAP_DAC_OVERRIDE
    header = (ctypes.c_uint32 * 2)(_CAPABILITIES_VERSION, 0)
    effective_permitted_inheritable = (ctypes.c_uint32 * 6)(right, right, right, 0, 0, 0)
    _system("capset", header, effective_permitted_inheritable)
    _system("prctl", _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, _CAP_DAC_OVERRIDE, 0, 0)


def _system(name: str, *arguments: object) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


if __name__ == "__main__":
    launch(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4:])
