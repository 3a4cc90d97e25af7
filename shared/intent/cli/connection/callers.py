"""Where a command connects, and on whose behalf."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from intent.addresses import is_local
from intent.cli.connection.addresses import address_of, addresses
from intent.cli.connection.options import (
    DEV_TENANT,
    Actor,
    Audience,
    ClientId,
    ClientSecretFile,
    IssuerUrl,
    ProfileName,
    Roles,
    Scope,
    SpeakTls,
    Target,
    Tenant,
    Timeout,
    TlsCa,
    TlsCert,
    TlsKey,
    TlsServerName,
    Token,
    TokenCommandLine,
    TokenFileName,
    TokenInPlainText,
)
from intent.cli.exits import UsageError

if TYPE_CHECKING:
    from intent.client import IntentClient, Tls, TokenSource
    from intent.contracts import Registry

__all__ = ["CallOptions"]


@dataclass(frozen=True, kw_only=True)
class CallOptions:
    """Where a command connects, and on whose behalf: each annotated field is an option.

    Attributes:
        profile: The profile that was asked for, or empty.
        target: The address or addresses, or empty for what `intent dev` runs.
        tenant: The tenant, or empty.
        actor: Who asks, or empty.
        roles: Roles with commas, or empty.
        token: The access token, or empty.
        token_file: The file with the token.
        token_command: The command that prints the token, or empty.
        token_in_plain_text: Whether to send the token without TLS to other machines as well.
        issuer: The issuer of tokens, or empty.
        client_id: How the issuer knows this program, or empty.
        client_secret_file: The file with the program's secret.
        scope: The scopes to ask the issuer for, or empty.
        audience: The audience to ask it for, or empty.
        tls: Whether to speak TLS.
        timeout: Longest time of a call in all, in seconds.
        needs_tenant: Whether the call acts on a tenant's data.
        login: The profile whose login counts; empty: none does.
    """

    profile: ProfileName = ""
    target: Target = ""
    tenant: Tenant = ""
    actor: Actor = ""
    roles: Roles = ""
    token: Token = ""
    token_file: TokenFileName = None
    token_command: TokenCommandLine = ""
    token_in_plain_text: TokenInPlainText = None
    issuer: IssuerUrl = ""
    client_id: ClientId = ""
    client_secret_file: ClientSecretFile = None
    scope: Scope = ""
    audience: Audience = ""
    tls: SpeakTls = None
    tls_ca: TlsCa = ""
    tls_cert: TlsCert = ""
    tls_key: TlsKey = ""
    tls_server_name: TlsServerName = ""
    timeout: Timeout = 30.0
    needs_tenant: bool = True
    login: str = ""

    def address(self, context: str) -> str:
        """Return the address of a context.

        Args:
            context: The context; empty for the only one that runs.

        Raises:
            UsageError: It is not known where it is served.
        """
        return address_of(self.target, context)

    def places(self, context: str) -> Mapping[str, str]:
        """Return the addresses of all contexts by their names, or that of one.

        Args:
            context: Which one; empty for all.

        Raises:
            UsageError: It is not known where they are served.
        """
        return {context: self.address(context)} if context else addresses(self.target)

    def acting_tenant(self) -> str:
        """Return the tenant on whose data to act; empty when the token or the call says it.

        Raises:
            UsageError: It is not known.
            CommandError: There must be a token, and there is none.
        """
        if self.tenant or not self.needs_tenant or self.source:
            return self.tenant
        if self.target:
            raise UsageError("which tenant? give --tenant NAME, or set INTENT_TENANT")
        return DEV_TENANT

    def speaks(self) -> Tls | None:
        """Return the TLS to speak; None: plain text.

        Raises:
            ConfigurationError: A file cannot be used.
        """
        from intent.client import Tls

        named = (self.tls_ca, self.tls_cert, self.tls_key, self.tls_server_name)
        if self.tls is False and any(named):
            raise UsageError("--no-tls, and a file or name for TLS is given too; keep one of them")
        return Tls(*named) if self.tls or any(named) else None

    @cached_property
    def source(self) -> TokenSource | None:
        """Where the token comes from, the same for each context; None: there is none.

        Raises:
            UsageError: It is not clear which one is meant.
            ConfigurationError: It cannot be used.
            CommandError: Nobody is logged in where tokens are needed.
        """
        from intent.cli.connection.sources import token_source

        return token_source(self)

    async def prepare(self) -> None:
        """Get the token, so that whoever waits learns at once why there is none.

        Raises:
            CommandError: There is none.
        """
        if self.source is not None:
            await self.source.authorization()

    def client(self, address: str, registry: Registry) -> IntentClient:
        """Return a client for an address.

        Raises:
            UsageError: The tenant is not known, or the token would be sent in plain text.
        """
        from intent.client import IntentClient

        source, tls = self.source, self.speaks()
        if source is not None and tls is None and not self.token_in_plain_text:
            _require_local(address)
        return IntentClient.connect(
            address,
            tenant=self.acting_tenant(),
            actor=self.actor or None,
            roles=[role.strip() for role in self.roles.split(",")] if self.roles else None,
            token=source,
            token_in_plain_text=bool(self.token_in_plain_text),
            timeout=self.timeout,
            credentials=tls,
            registry=registry,
        )

    @property
    def secret_file(self) -> Path | None:
        """The file with the program's secret, by its full path."""
        return self.client_secret_file.absolute() if self.client_secret_file else None


def _require_local(address: str) -> None:
    if not is_local(address):
        raise UsageError(
            f"the token would be sent to {address} in plain text, where whoever is on the way can use it: "
            "give --tls; or --token-in-plain-text, where something else protects the network"
        )
