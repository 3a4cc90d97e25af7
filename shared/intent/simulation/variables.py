"""The environment variables of simulators."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from intent.errors import ConfigurationError

__all__ = ["ledger_path", "share", "whole_number"]


def whole_number(variable: str, default: int) -> int:
    """Return a variable as a whole number, 0 or more.

    Raises:
        ConfigurationError: It has another value.
    """
    text = os.environ.get(variable) or str(default)
    if not (text.isascii() and text.isdigit()):
        raise ConfigurationError(f"{variable} is {text!r}; give a whole number, 0 or more")
    return int(text)


def share(variable: str) -> float:
    """Return a variable as a share of a whole, from 0 to 1; 0 when it is not set.

    Raises:
        ConfigurationError: It has another value.
    """
    text = os.environ.get(variable) or "0"
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise ConfigurationError(f"{variable} is {text!r}; give a number from 0 to 1")
    return value


def ledger_path(variable: str, name: str) -> Path:
    """Return the path of a simulator's ledger.

    Args:
        variable: The variable that names the file, if it is set.
        name: The file's name otherwise: in the folder of `intent dev`, or else in a folder for
            temporary files that the processes of one user share.
    """
    named = os.environ.get(variable)
    if named:
        return Path(named)
    folder = os.environ.get("INTENT_DEV_DATA")
    return Path(folder) / name if folder else Path(tempfile.gettempdir()) / f"intent-{os.getuid()}" / name
