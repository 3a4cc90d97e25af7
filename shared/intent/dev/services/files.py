"""Files and folders of an installation on this machine, which nobody else reads or puts in the way.

What is written with root's rights follows no symbolic link, and lies where only root can write.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import IO, Final

from intent.dev.services.account import Account
from intent.errors import ConfigurationError

__all__ = ["open_log", "private_folder", "read_secret", "require_own", "write_secret"]

_OWNER: Final = 0o600
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_OTHERS_WRITE: Final = stat.S_IWGRP | stat.S_IWOTH


def private_folder(folder: Path, visitor: Account | None = None) -> None:
    """Create a folder that is closed to others, or close the one that is there, and the files in it.

    Args:
        folder: The folder.
        visitor: A user who may enter it, but not list it; None: nobody.

    Raises:
        ConfigurationError: It belongs to another user, or as root: another user may write it.
    """
    require_own(folder.parent, shared=True)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    require_own(folder)
    opened = os.open(folder.resolve(), os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        if os.fstat(opened).st_uid != os.geteuid():
            raise ConfigurationError(f"{folder} belongs to another user: choose another folder")
        if visitor is not None:
            os.fchown(opened, -1, visitor.gid)
        os.fchmod(opened, 0o700 if visitor is None else 0o710)
    finally:
        os.close(opened)
    for path in (*folder.iterdir(), *_listed(folder / "logs")):
        if path.is_file() and not path.is_symlink() and path.stat().st_uid == os.geteuid():
            path.chmod(_OWNER)


def require_own(folder: Path, *, shared: bool = False) -> None:
    """Require, as root, that no other user can put anything into a folder, or another one in its place.

    Args:
        folder: The folder; it need not exist.
        shared: Whether it may be one in which everybody has their own things, such as ``/tmp``.

    Raises:
        ConfigurationError: Another user can.
    """
    if os.geteuid() != 0:
        return
    for place in (folder.absolute(), folder.resolve()):
        for path in (place, *place.parents):
            if path.exists() and _others_write(path.stat(), shared=shared or path != place):
                raise ConfigurationError(
                    f"another user may write {path}, and could have root write elsewhere by it: run this as "
                    f"that user, or choose a folder of root's own (--data, INTENT_DEV_DATA)"
                )


def _others_write(status: os.stat_result, *, shared: bool) -> bool:
    if status.st_uid != 0:
        return True
    mode = status.st_mode & (_OTHERS_WRITE if status.st_gid else stat.S_IWOTH)
    return bool(mode) and not (shared and status.st_mode & stat.S_ISVTX)


def _listed(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.is_dir() and not folder.is_symlink() else []


def write_secret(path: Path, text: str, account: Account | None = None) -> None:
    """Write a new file that its owner alone reads, in place of one that is there.

    Args:
        path: The file; a link in its place is removed, and not followed.
        text: What it is to hold.
        account: The owner; None: this process's user.
    """
    path.unlink(missing_ok=True)
    opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, _OWNER)
    with os.fdopen(opened, "w") as file:
        if account is not None:
            os.fchown(opened, account.uid, account.gid)
        file.write(text)


def read_secret(path: Path, *, closed: bool = False) -> str | None:
    """Return what a file of this process's user holds; None: there is none.

    Args:
        path: The file.
        closed: Whether others must not be able to read it.

    Raises:
        ConfigurationError: It is a link, or belongs to another user, or others can read it.
    """
    try:
        opened = _open(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    with os.fdopen(opened) as file:
        if closed and os.fstat(opened).st_mode & _OTHERS:
            raise ConfigurationError(
                f"other users may read {path}, and use what is in it: chmod 600 it, or remove it"
            )
        return file.read()


def open_log(path: Path) -> IO[bytes]:
    """Open a log to append to, which its owner alone reads.

    Raises:
        ConfigurationError: It is a link, or belongs to another user.
    """
    opened = _open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.fchmod(opened, _OWNER)
    return os.fdopen(opened, "ab")


def _open(path: Path, flags: int) -> int:
    """Open a plain file of this process's user."""
    try:
        opened = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK, _OWNER)
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        raise ConfigurationError(f"{path} is a symbolic link, which is not followed: remove it") from None
    status = os.fstat(opened)
    linked = status.st_nlink > 1 and flags & os.O_WRONLY
    if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid() or linked:
        os.close(opened)
        raise ConfigurationError(f"{path} is not a file of this user's own: remove it")
    return opened
