"""TLS of the client, with certificates that may be replaced while it is connected."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

import grpc

from intent.tls.files import Pems, TlsFiles

__all__ = ["Tls", "channel_credentials"]

_LOOK_EVERY: Final = 1.0
"""Seconds between two looks at the files."""


class Tls:
    """The client's end of TLS, version 1.2 and up; the files are read again when they change.

    Args:
        ca: A file with the certificates of the authorities that the server's certificate may be of; None:
            those of the system.
        certificate: A file with the client's own certificate, for servers that ask for one.
        key: A file with its private key.
        server_name: The name to expect in the server's certificate; empty: that of the target.

    Raises:
        ConfigurationError: A file cannot be read or is invalid, or only one of certificate and key is
            given.
    """

    def __init__(
        self,
        ca: str | Path | None = None,
        certificate: str | Path | None = None,
        key: str | Path | None = None,
        server_name: str = "",
    ) -> None:
        self.server_name = server_name
        self._files = TlsFiles(certificate, key, ca)
        self._looked = 0.0

    def current(self) -> Pems:
        """Return what the files hold, at most a second late; the same object when nothing has changed."""
        now = time.monotonic()
        if now - self._looked >= _LOOK_EVERY:
            self._looked = now
            return self._files.latest()
        return self._files.current

    @property
    def options(self) -> tuple[tuple[str, str], ...]:
        """The arguments of the gRPC channel."""
        return (("grpc.ssl_target_name_override", self.server_name),) if self.server_name else ()


def channel_credentials(pems: Pems) -> grpc.ChannelCredentials:
    """Return credentials of a channel."""
    return grpc.ssl_channel_credentials(pems.authorities or None, pems.key or None, pems.certificate or None)
