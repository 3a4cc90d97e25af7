"""Where the user's own files are, and how the profile is called that everybody has."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

__all__ = ["DEFAULT_PROFILE", "user_folder"]

DEFAULT_PROFILE: Final = "default"


def user_folder(variable: str, below_home: str) -> Path:
    """Return Intent's folder in one of the user's base folders (XDG).

    Args:
        variable: The variable that names the base folder; what is no full path does not count.
        below_home: Where it is by default, below the home.
    """
    base = os.environ.get(variable, "")
    return (Path(base) if base.startswith("/") else Path.home() / below_home) / "intent"
