"""The keys by which the platform knows its own messages in Temporal, in files that are read again."""

from __future__ import annotations

import hashlib
import logging
import os
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from intent.errors import ConfigurationError

__all__ = ["KEY_ID_BYTES", "KeyRing", "SigningKey"]

_log: Final = logging.getLogger("intent.temporal.signing")

KEY_ID_BYTES: Final = 8
"""The length of a key's id."""

_SHORTEST: Final = 32
_LONGEST: Final = 1024
_LOOK: Final = 2.0
"""Seconds between two looks at the files."""
_RETIRED: Final = ".old"
"""What the name of a key ends in that only verifies."""
_SETTLED: Final = 300.0
"""Seconds after which a new file has surely reached every process; a kubelet takes up to two minutes."""
_MAKE_ONE: Final = "make one with: openssl rand -base64 32"


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key.

    Attributes:
        name: The name of its file.
        secret: The key itself.
        id: What names it beside a MAC; nobody learns the key from it.
        since: When its file was written, in seconds since 1970.
    """

    name: str
    secret: bytes = field(repr=False)
    id: bytes
    since: float


class KeyRing:
    """The keys in a folder: all of them verify, and the newest signs.

    The newest is the last by name. It signs once its file has been there for five minutes, or when there is
    no other: by then every process has it, so a key is added in one step, without a pause. Until then
    the last one that has been there for so long signs, or else the first: a kubelet writes all files anew
    when a pod starts, and at each change. A key whose name ends in ``.old`` signs only where no other is.

    The files are looked at every two seconds. What cannot be used then leaves the keys as they were, with
    a warning. Any thread may call.

    Args:
        path: The folder, or a single file.

    Raises:
        ConfigurationError: There is no key, or one cannot be used.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        self._lock = threading.Lock()
        self._looked = time.monotonic()
        self._seen = self._signature()
        self._keys = self._read()
        self._signer = self._newest()

    def signer(self) -> SigningKey:
        """Return the key that signs now."""
        self._look(_LOOK)
        return self._signer

    def find(self, id_: bytes) -> SigningKey | None:
        """Return a key by its id; None when there is none, also among files that are new."""
        key = self._keys.get(id_)
        if key is None:
            self._look(_LOOK / 4)
            key = self._keys.get(id_)
        return key

    @property
    def keys(self) -> Mapping[bytes, SigningKey]:
        """The keys, by their ids."""
        return self._keys

    def _look(self, every: float) -> None:
        """Read the files again if they have changed, unless somebody has just looked."""
        moment = time.monotonic()
        if moment - self._looked < every or not self._lock.acquire(blocking=False):
            return
        try:
            self._looked = moment
            signature = self._signature()
            if signature != self._seen:
                self._seen = signature
                self._take()
            self._choose()
        finally:
            self._lock.release()

    def _take(self) -> None:
        try:
            keys = self._read()
        except ConfigurationError as error:
            _log.warning("the keys of before stay in use: %s", error)
            return
        if keys.keys() != self._keys.keys():
            names = ", ".join(sorted(key.name for key in keys.values()))
            _log.info("the keys for what goes over Temporal have changed: %s", names)
        self._keys = keys

    def _choose(self) -> None:
        signer = self._newest()
        if signer.id != self._signer.id:
            _log.info("the key %s signs what goes over Temporal from now on", signer.name)
        self._signer = signer

    def _newest(self) -> SigningKey:
        known = sorted(self._keys.values(), key=lambda key: key.name)
        current = [key for key in known if not key.name.endswith(_RETIRED)] or known
        settled = [key for key in current if time.time() - key.since >= _SETTLED]
        return settled[-1] if settled else current[0]

    def _signature(self) -> object:
        """Return what changes whenever a file does."""
        try:
            return [(path, path.stat().st_mtime_ns, path.stat().st_ino) for path in self._files()]
        except (OSError, ConfigurationError):
            return None

    def _files(self) -> list[Path]:
        try:
            if not self._path.is_dir():
                return [self._path]
            # What begins with a dot is the kubelet's, or an editor's.
            names = sorted(name for name in os.listdir(self._path) if not name.startswith("."))
            return [file for name in names if (file := self._path / name).is_file()]
        except OSError as error:
            raise ConfigurationError(
                f"INTENT_TEMPORAL_KEYS={self._path} cannot be read: {error.strerror}"
            ) from None

    def _read(self) -> dict[bytes, SigningKey]:
        keys = [_key(path) for path in self._files()]
        if not keys:
            raise ConfigurationError(
                f"INTENT_TEMPORAL_KEYS={self._path} is a folder without a key; {_MAKE_ONE}"
            )
        return {key.id: key for key in keys}


def _key(path: Path) -> SigningKey:
    try:
        secret, since = path.read_bytes().strip(), path.stat().st_mtime
    except OSError as error:
        raise ConfigurationError(
            f"the key {path} of INTENT_TEMPORAL_KEYS cannot be read: {error.strerror}"
        ) from None
    if not _SHORTEST <= len(secret) <= _LONGEST:
        raise ConfigurationError(
            f"the key {path} of INTENT_TEMPORAL_KEYS has {len(secret)} bytes; it must have {_SHORTEST} to "
            f"{_LONGEST}: {_MAKE_ONE}"
        )
    id_ = hashlib.sha256(b"intent temporal key id\0" + secret).digest()[:KEY_ID_BYTES]
    return SigningKey(path.name, secret, id_, since)
