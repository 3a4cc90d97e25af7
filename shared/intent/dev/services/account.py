"""The user account of a service that must not run as root although this process does."""

from __future__ import annotations

import os
import pwd
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Account", "closed_folder", "service_account"]


@dataclass(frozen=True, slots=True)
class Account:
    """The user account of a process.

    Attributes:
        name: The user's name.
        uid: The user's id.
        gid: The id of the user's group.
        enters: Whether it may enter folders that are closed to it, as root does.
    """

    name: str
    uid: int
    gid: int
    enters: bool = False


def service_account(data: Path) -> Account | None:
    """Return an unprivileged user for a service, or None when this process is not root.

    The owner of existing data stays the service's user. When the data is in a folder that is closed
    to that user, such as root's home, the service keeps root's right to enter.

    Args:
        data: The folder of the service's data; it need not exist yet.
    """
    if os.geteuid() != 0:
        return None
    if data.exists() and data.stat().st_uid != 0:
        entry = pwd.getpwuid(data.stat().st_uid)
    else:
        names = {user.pw_name: user for user in pwd.getpwall()}
        entry = names.get("postgres") or names["nobody"]
    closed = closed_folder([data.parent], entry.pw_uid, entry.pw_gid)
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid, enters=closed is not None)


def closed_folder(paths: Iterable[Path], uid: int, gid: int = -1) -> Path | None:
    """Return the first folder on the way to these paths that a user may not enter, or None."""
    for path in paths:
        for folder in reversed((path, *path.parents)):
            if folder.exists() and not _open_to(folder.stat(), uid, gid):
                return folder
    return None


def _open_to(status: os.stat_result, uid: int, gid: int) -> bool:
    if status.st_uid == uid:
        return bool(status.st_mode & stat.S_IXUSR)
    return bool(status.st_mode & (stat.S_IXGRP if status.st_gid == gid else stat.S_IXOTH))
