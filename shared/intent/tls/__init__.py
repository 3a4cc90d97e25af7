"""TLS at both ends of a call: files that are read again when they change."""

from intent.tls.client import Tls, channel_credentials
from intent.tls.files import Pems, TlsFiles
from intent.tls.server import ClientCertificates, ServerTls, spiffe_id

__all__ = [
    "ClientCertificates",
    "Pems",
    "ServerTls",
    "Tls",
    "TlsFiles",
    "channel_credentials",
    "spiffe_id",
]
