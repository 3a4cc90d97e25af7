"""The settings of TLS."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings

from intent.settings.values import Port

__all__ = ["TlsSettings"]


class TlsSettings(BaseSettings):
    """The certificates that a process shows, and those that it believes; part of `Settings`."""

    tls_cert_path: str = Field(
        "",
        description="File with the certificate of the process, and those that lead to its authority; "
        "empty: it speaks plain text. The files of TLS are read again when they change.",
    )
    tls_key_path: str = Field("", description="File with the private key of that certificate.")
    tls_clients: Literal["off", "optional", "required"] = Field(
        "off",
        description="Certificates of clients: `off`; `required` on the port; or `optional`, with a "
        "second port for those who have one.",
    )
    tls_client_ca_path: str = Field(
        "", description="File with the certificates of the authorities that those of clients are of."
    )
    tls_clients_port: Port = Field(
        7443, description="The second port, where certificates of clients are `optional`; 0: a free one."
    )
    tls_ca_path: str = Field(
        "",
        description="File with the certificates of the authorities that those of other contexts are of; "
        "empty: the system's.",
    )
    context_tls: bool | None = Field(
        None,
        description="Speak TLS with other contexts, and show them the own certificate; "
        "unset: if there is one.",
    )
