"""Becomes another program, which ends with its parent and runs as a given user.

Run as a script: ``python launch.py PARENT SIGNAL UID:GID PROGRAM ARGUMENT…`` (``-`` for no
change of user). What it does could happen between fork and exec, but a fork of a process with
gRPC's threads is not safe; as a program of its own it needs none. It imports nothing of Intent.
"""

from __future__ import annotations

import ctypes
import os
import sys

__all__ = ["launch"]

_PR_SET_PDEATHSIG = 1


def launch(parent: int, number: int, user: str, command: list[str]) -> None:
    """Becomes the command; returns never.

    Args:
        parent: The process whose death ends the command.
        number: The signal that ends it then.
        user: ``UID:GID`` to run as, or ``-``.
        command: The program's path and its arguments.
    """
    if user != "-":
        uid, gid = (int(part) for part in user.split(":"))
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    if sys.platform == "linux":
        # After the change of user, which would clear it.
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)
    if os.getppid() == parent:
        os.execv(command[0], command)  # noqa: S606 - the command is our own


if __name__ == "__main__":
    launch(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4:])
