"""What a running `intent dev` tells other commands: where everything is."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

__all__ = ["DEFAULT_FOLDER", "ContextAddress", "DevState", "dev_folder"]

DEFAULT_FOLDER: Final = ".dev"
_FILE: Final = "state.json"


@dataclass(frozen=True, slots=True)
class ContextAddress:
    """Where a context is reached.

    Attributes:
        target: Its gRPC server, ``host:port``.
        metrics: Its metrics endpoint, as a URL.
        others: Further processes of it, each ``host:port``.
    """

    target: str
    metrics: str
    others: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DevState:
    """Where a running development installation is reached.

    Attributes:
        pid: The process that runs it.
        contexts: Its contexts, by name.
        temporal: Temporal's address, ``host:port``.
        temporal_ui: The URL of Temporal's UI.
        postgres: The URL of PostgreSQL for the administrator.
    """

    pid: int
    temporal: str
    temporal_ui: str
    postgres: str
    contexts: Mapping[str, ContextAddress] = field(default_factory=dict)

    def write(self, folder: Path) -> None:
        """Writes the state into a folder, readable by its owner only: it holds a password."""
        path = folder / _FILE
        new = path.with_suffix(".new")
        new.touch(mode=0o600)
        new.write_text(json.dumps(asdict(self), indent=2) + "\n")
        new.replace(path)

    @staticmethod
    def remove(folder: Path) -> None:
        """Removes the state from a folder."""
        (folder / _FILE).unlink(missing_ok=True)

    @classmethod
    def read(cls, folder: Path) -> DevState | None:
        """Returns the state of what runs from a folder; None when nothing does."""
        try:
            found = json.loads((folder / _FILE).read_text())
            contexts = {
                name: ContextAddress(**{**address, "others": tuple(address.get("others", ()))})
                for name, address in found.pop("contexts").items()
            }
            state = cls(**found, contexts=contexts)
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return None
        return state if _lives(state.pid) else None


def dev_folder(start: Path | None = None) -> Path:
    """Returns the folder of the development installation.

    It is ``INTENT_DEV_DATA`` when that is set, else the nearest ``.dev`` here or in a folder above, else
    ``.dev`` here.
    """
    named = os.environ.get("INTENT_DEV_DATA")
    if named:
        return Path(named).absolute()
    here = (start or Path.cwd()).absolute()
    for folder in (here, *here.parents):
        if (folder / DEFAULT_FOLDER / _FILE).exists():
            return folder / DEFAULT_FOLDER
    return here / DEFAULT_FOLDER


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
