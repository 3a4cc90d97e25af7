"""Certificates and keys of TLS in PEM files, read again when they change."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from intent.errors import ConfigurationError

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

__all__ = ["Pems", "TlsFiles"]

_log: Final = logging.getLogger("intent.tls")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Pems:
    """The contents of the files; empty where there is none.

    Attributes:
        certificate: The own certificate with those that lead to its authority.
        key: Its private key.
        authorities: The certificates of the authorities that the other end's certificate may be of.
        name: A host for which the own certificate is, of whose names some may begin with ``*``; empty: it
            is for none.
    """

    certificate: bytes = b""
    key: bytes = b""
    authorities: bytes = b""
    name: str = ""


class TlsFiles:
    """Reads the files of one end of TLS again whenever they have changed.

    What replaces them may write one after the other, or something invalid: until all of them fit each
    other again, what was read before stays in use, and a warning says why.

    Args:
        certificate: The file with the own certificate; None: there is none.
        key: The file with its private key.
        authorities: The file with the certificates of the authorities; None: the other end shows none, or
            the system's authorities are meant.

    Raises:
        ConfigurationError: A file cannot be read or is invalid, or only one of certificate and key is
            given.
    """

    def __init__(
        self,
        certificate: str | Path | None = None,
        key: str | Path | None = None,
        authorities: str | Path | None = None,
    ) -> None:
        if bool(certificate) != bool(key):
            given, missing = ("certificate", "key") if certificate else ("key", "certificate")
            raise ConfigurationError(f"TLS has a {given}, {certificate or key}, and no {missing}; give both")
        self._paths = tuple(Path(path) if path else None for path in (certificate, key, authorities))
        self._lock = threading.Lock()
        self._seen = self._signature()
        self._pems = self._read()

    @property
    def current(self) -> Pems:
        """What was read last."""
        return self._pems

    def latest(self) -> Pems:
        """Return what the files hold; the same object as before when nothing has changed.

        Any thread may call it.
        """
        with self._lock:
            signature = self._signature()
            if signature != self._seen:
                self._seen = signature
                self._take()
            return self._pems

    def _take(self) -> None:
        try:
            pems = self._read()
        except ConfigurationError as error:
            _log.warning("the certificates of before stay in use: %s", error)
            return
        if pems != self._pems:
            self._pems = pems
            _log.info("the certificates have changed and are in use")

    def _signature(self) -> tuple[tuple[int, int, int] | None, ...]:
        """Return what changes whenever a file does."""
        return tuple(None if path is None else _stat(path) for path in self._paths)

    def _read(self) -> Pems:
        certificate, key, authorities = (b"" if path is None else _content(path) for path in self._paths)
        name = ""
        if certificate:
            own = _certificates(certificate, self._paths[0])[0]
            _require_pair(own, key, *self._paths[:2])
            name = _host_of(own)
        if authorities:
            _certificates(authorities, self._paths[2])
        return Pems(certificate, key, authorities, name)


def _stat(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size


def _content(path: Path) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from None
    if not content.strip():
        raise ConfigurationError(f"{path} is empty; it must hold PEM, which begins with -----BEGIN")
    return content


def _certificates(content: bytes, path: Path | None) -> list[Certificate]:
    from cryptography import x509  # Programs that speak no TLS need not load it.

    return _parsed(lambda: x509.load_pem_x509_certificates(content), path, "certificates")


def _require_pair(own: Certificate, key: bytes, path: Path | None, key_path: Path | None) -> None:
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    private = _parsed(lambda: load_pem_private_key(key, None), key_path, "an unencrypted private key")
    if own.public_key() != private.public_key():
        raise ConfigurationError(f"the key in {key_path} does not belong to the first certificate in {path}")


def _host_of(own: Certificate) -> str:
    from cryptography import x509

    try:
        names = own.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ""
    hosts = [*names.get_values_for_type(x509.DNSName), *names.get_values_for_type(x509.IPAddress)]
    return str(hosts[0]).replace("*", "any", 1) if hosts else ""


def _parsed(parse: Callable[[], T], path: Path | None, what: str) -> T:
    try:
        return parse()
    except (ValueError, TypeError) as error:
        raise ConfigurationError(f"{path} does not hold {what} as PEM: {error}") from None
