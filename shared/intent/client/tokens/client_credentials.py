"""Tokens by OAuth client credentials (RFC 6749, 4.4)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from intent.addresses import is_protected
from intent.client.tokens.files import read_secret
from intent.client.tokens.source import FetchedToken, TokenSource, unavailable
from intent.errors import ConfigurationError, Unauthenticated

__all__ = ["ClientCredentials"]

_SECONDS: Final = 30.0
"""How long an issuer may take to answer."""


class ClientCredentials(TokenSource):
    """Tokens for a program itself, which an issuer gives for its id and its secret.

    Args:
        client_id: The program's id at the issuer.
        secret_file: The file with its secret, which is read for each token.
        issuer: The issuer's URL, whose OpenID configuration names the token endpoint.
        token_url: The token endpoint; then no issuer is needed.
        scope: The scopes to ask for, with spaces; empty: the issuer's default.
        audience: The audience to ask for, where the issuer wants to be told.

    Raises:
        ConfigurationError: There is not exactly one of issuer and token endpoint, or it would get the
            secret in plain text.
    """

    def __init__(
        self,
        client_id: str,
        secret_file: str | os.PathLike[str],
        *,
        issuer: str = "",
        token_url: str = "",
        scope: str = "",
        audience: str = "",
    ) -> None:
        if bool(issuer) == bool(token_url):
            raise ConfigurationError("client credentials need either an issuer or a token_url")
        if not is_protected(issuer or token_url):
            raise ConfigurationError(
                f"{issuer or token_url} would get the client's secret in plain text: it must begin with "
                "https:// (http:// only on this machine)"
            )
        super().__init__(issuer or token_url)
        self._client_id = client_id
        self._secret_file = Path(secret_file)
        self._issuer = issuer
        self._token_url = token_url
        wanted = {"grant_type": "client_credentials", "scope": scope, "audience": audience}
        self._form = {key: value for key, value in wanted.items() if value}

    async def fetch(self) -> FetchedToken:
        """Ask the issuer for a token."""
        # Most programs that import the client speak to no issuer, and need not load what does.
        from intent.oidc import GrantRefused, IssuerUnavailable, basic, discovered, grant_of, posted, session

        shown = basic(self._client_id, read_secret(self._secret_file))
        headers = {"authorization": shown, "accept": "application/json"}
        try:
            async with session(seconds=_SECONDS) as calls:
                if not self._token_url:
                    self._token_url = await discovered(calls, self._issuer, "", "token_endpoint")
                status, answer = await posted(calls, self._token_url, self._form, headers)
                grant = grant_of(status, answer, self._token_url)
        except IssuerUnavailable as error:
            raise unavailable(str(error)) from None
        except GrantRefused as error:
            raise Unauthenticated(
                "TOKEN_REFUSED",
                f"{self._token_url} gives the client {self._client_id} no token ({error}); check the "
                "client's id, secret and scopes",
            ) from None
        return FetchedToken(grant.access_token, grant.seconds)
