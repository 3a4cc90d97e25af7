"""The addresses that a running `intent dev` publishes for other commands."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

from intent.dev.services.files import write_secret

__all__ = ["DEFAULT_FOLDER", "ContextAddress", "DevState", "dev_folder"]

DEFAULT_FOLDER: Final = ".dev"
_FILE: Final = "state.json"


@dataclass(frozen=True, slots=True)
class ContextAddress:
    """The addresses of a context.

    Attributes:
        target: Its gRPC server, ``host:port``.
        metrics: Its metrics endpoint, as a URL.
        others: The gRPC servers of its further processes, each ``host:port``.
    """

    target: str
    metrics: str
    others: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DevState:
    """The addresses of a running development installation.

    Attributes:
        pid: The process that runs it.
        contexts: Its contexts, by name.
        temporal: Temporal's address, ``host:port``.
        temporal_ui: The URL of Temporal's UI.
        postgres: The URL of PostgreSQL for the administrator.
        issuer: The URL of its issuer of tokens; empty: it believes its callers.
    """

    pid: int
    temporal: str
    temporal_ui: str
    postgres: str
    contexts: Mapping[str, ContextAddress] = field(default_factory=dict)
    issuer: str = ""

    def write(self, folder: Path) -> None:
        """Write the state into a folder, readable by its owner only: it holds a password."""
        path = folder / _FILE
        new = path.with_suffix(".new")
        write_secret(new, json.dumps(asdict(self), indent=2) + "\n")
        new.replace(path)

    @staticmethod
    def remove(folder: Path) -> None:
        """Remove the state from a folder."""
        (folder / _FILE).unlink(missing_ok=True)

    @classmethod
    def read(cls, folder: Path) -> DevState | None:
        """Return the state of the installation that runs from a folder; None when none does."""
        try:
            content = json.loads((folder / _FILE).read_text())
            contexts = {
                name: ContextAddress(**{**address, "others": tuple(address.get("others", ()))})
                for name, address in content.pop("contexts").items()
            }
            state = cls(**content, contexts=contexts)
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return None
        return state if _is_running(state.pid) else None


def dev_folder(start: Path | None = None) -> Path:
    """Return the folder of the development installation.

    It is ``INTENT_DEV_DATA`` when that is set, else the nearest ``.dev`` in use, here or in a folder above,
    else ``.dev`` here.
    """
    named = os.environ.get("INTENT_DEV_DATA")
    if named:
        return Path(named).absolute()
    here = (start or Path.cwd()).absolute()
    for folder in (here, *here.parents):
        if (folder / DEFAULT_FOLDER / _FILE).exists():
            return folder / DEFAULT_FOLDER
    return here / DEFAULT_FOLDER


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
