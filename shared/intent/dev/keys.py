"""The key by which the processes of one development installation know each other in Temporal."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from intent.dev.services.files import private_folder, read_secret, write_secret

__all__ = ["DevKeys"]

_FOLDER: Final = "temporal-keys"
_FILE: Final = "dev"


@dataclass(frozen=True, slots=True)
class DevKeys:
    """The folder with the key, to which more may be added as in production.

    Attributes:
        folder: The folder, which its owner alone reads.
    """

    folder: Path

    @classmethod
    def of(cls, folder: Path) -> DevKeys:
        """Return that of the installation in a folder, which exists; the first call makes the key."""
        own = folder.resolve() / _FOLDER
        private_folder(own)
        if read_secret(own / _FILE) is None:
            write_secret(own / _FILE, secrets.token_urlsafe(32) + "\n")
        return cls(own)

    @property
    def settings(self) -> Mapping[str, str]:
        """The settings of the processes, as environment variables.

        What is in Temporal from before there was a key is believed: a saga may have begun then.
        """
        made = datetime.fromtimestamp((self.folder / _FILE).stat().st_mtime, UTC)
        return {
            "INTENT_TEMPORAL_KEYS": str(self.folder),
            "INTENT_TEMPORAL_UNSIGNED_UNTIL": made.isoformat(),
        }
