"""TLS of the gRPC server, with certificates that may be replaced while it serves."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

import grpc

from intent.errors import ConfigurationError
from intent.tls.files import Pems, TlsFiles

__all__ = ["ClientCertificates", "ServerTls", "spiffe_id"]

ClientCertificates: TypeAlias = Literal["off", "optional", "required"]
"""Whether clients show certificates."""

_NO_AUTHORITY: Final = (
    "the certificates of clients cannot be verified without their authority: set INTENT_TLS_CLIENT_CA_PATH "
    "to a file with its certificate, or INTENT_TLS_CLIENTS=off"
)


class ServerTls:
    """The server's end of TLS, version 1.2 and up.

    Each connection begins with what the files hold at that moment; connections that are open stay as
    they are.

    Args:
        files: The server's certificate and key, and the authorities of its clients.
        clients: ``required``: who shows no certificate cannot connect. ``optional``: there is a port of
            its own for those who show one, since gRPC does not let a client choose. ``off``: there is none.

    Raises:
        ConfigurationError: The files lack what is needed.
    """

    def __init__(self, files: TlsFiles, clients: ClientCertificates = "off") -> None:
        if not files.current.certificate:
            raise ConfigurationError(
                "the server has no certificate; set INTENT_TLS_CERT_PATH and INTENT_TLS_KEY_PATH"
            )
        if clients != "off" and not files.current.authorities:
            raise ConfigurationError(_NO_AUTHORITY)
        self.files = files
        self.clients = clients

    def credentials(self, *, clients: bool) -> grpc.ServerCredentials:
        """Return credentials for one port of one server.

        Args:
            clients: Whether clients must show a certificate there.
        """
        used = self.files.latest()

        def newer() -> grpc.ServerCertificateConfiguration | None:
            nonlocal used
            latest = self.files.latest()
            if latest is used:
                return None
            used = latest
            return _configuration(latest, clients=clients)

        return grpc.dynamic_ssl_server_credentials(_configuration(used, clients=clients), newer, clients)


def spiffe_id(rpc: grpc.aio.ServicerContext) -> str:
    """Return the SPIFFE id in the certificate that a call's client has shown; empty: there is none."""
    ids = rpc.auth_context().get("peer_spiffe_id", ())
    return str(ids[0], "ascii", "replace") if ids else ""


def _configuration(pems: Pems, *, clients: bool) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration(
        [(pems.key, pems.certificate)], pems.authorities if clients else None
    )
