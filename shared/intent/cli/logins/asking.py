"""What a program asks of an issuer to log somebody in: OAuth's device flow, renewal, client credentials."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic, time
from typing import Any, Final

import aiohttp

from intent.addresses import is_protected
from intent.cli.logins.files import Login
from intent.client.tokens.files import read_secret
from intent.client.tokens.source import unavailable
from intent.errors import ConfigurationError, Unauthenticated, Unavailable
from intent.escaping import escaped
from intent.oidc import Grant, GrantRefused, IssuerUnavailable, basic, discovered, grant_of, posted, session

__all__ = ["Asking", "DevicePrompt"]

_DEVICE: Final = "urn:ietf:params:oauth:grant-type:device_code"
_SECONDS: Final = 5.0
"""Between two looks whether somebody has confirmed, when the issuer does not say (RFC 8628, 3.2)."""
_SLOWER: Final = 5.0
_PATIENCE: Final = 60.0
"""Seconds for an answer: of a renewal that is given up, the issuer may have granted a token that is lost."""
_MOST_SECONDS: Final = 1800.0


@dataclass(frozen=True, slots=True)
class DevicePrompt:
    """What somebody must do to confirm a login in a browser.

    Attributes:
        url: The page.
        code: What to enter there.
        whole_url: The page with the code in it already; empty: there is none.
    """

    url: str
    code: str
    whole_url: str = ""


@dataclass(frozen=True, slots=True)
class Asking:
    """Asks one issuer on behalf of one program.

    Attributes:
        issuer: The issuer's URL, whose OpenID configuration names its endpoints.
        client_id: How it knows the program.
        secret_file: The file with the program's secret; None: it has none.
        scope: The scopes to ask for, with spaces; empty: the issuer's default.
        audience: The audience to ask for; empty: none.

    Raises:
        ConfigurationError: The issuer would be asked in plain text.
    """

    issuer: str
    client_id: str
    secret_file: Path | None = None
    scope: str = ""
    audience: str = ""

    def __post_init__(self) -> None:
        if not is_protected(self.issuer):
            raise ConfigurationError(
                f"the issuer {self.issuer} would send tokens in plain text: it must begin with https:// "
                "(http:// only on this machine)"
            )

    @classmethod
    def again(cls, login: Login) -> Asking:
        """Return what asks as a login was asked for."""
        secret = Path(login.secret_file) if login.secret_file else None
        return cls(login.issuer, login.client_id, secret, login.scope, login.audience)

    async def by_device(self, show: Callable[[DevicePrompt], None]) -> Login:
        """Log somebody in who confirms it in a browser, on whatever device (RFC 8628).

        Args:
            show: Shows what to do.

        Raises:
            Unauthenticated: It was not confirmed, or the issuer refuses.
            Unavailable: The issuer is.
        """
        form = self._form()
        status, answer = await self._post("device_authorization_endpoint", form)
        if status != 200:
            said = escaped(f"{answer.get('error', '')} {answer.get('error_description', '')}".strip())
            raise self._refused(f"status {status}: {said[:300]}")
        show(_prompt(answer, self.issuer))
        code = {"grant_type": _DEVICE, "device_code": str(answer.get("device_code", "")), **self._named()}
        grant = await self._confirmed(code, _number(answer, "interval", _SECONDS), _ends(answer))
        return self._login(grant)

    async def by_secret(self) -> Login:
        """Log the program itself in by its secret (RFC 6749, 4.4).

        Raises:
            Unauthenticated: The issuer refuses.
            Unavailable: The issuer is, or the secret cannot be read.
        """
        form = {**self._form(), "grant_type": "client_credentials"}
        try:
            return replace(self._login(await self._grant(form)), own=True)
        except GrantRefused as refusal:
            raise self._refused(f"{refusal}; check the client's id, secret and scopes") from None

    async def by_refreshing(self, refresh_token: str) -> Login:
        """Renew a login.

        Raises:
            GrantRefused: The issuer does not renew it.
            Unavailable: The issuer is, or the secret cannot be read.
        """
        form = {"grant_type": "refresh_token", "refresh_token": refresh_token, **self._named()}
        login = self._login(await self._grant(form))
        return login if login.refresh_token else replace(login, refresh_token=refresh_token)

    async def withdraw(self, refresh_token: str) -> None:
        """Have the issuer renew a login no more (RFC 7009).

        Raises:
            Unavailable: The issuer is, or it takes no such request.
        """
        form = {"token": refresh_token, "token_type_hint": "refresh_token", **self._named()}
        await self._post("revocation_endpoint", form, empty=True)

    async def _confirmed(self, form: Mapping[str, str], interval: float, ends: float) -> Grant:
        """Ask until somebody has confirmed the login or refused it."""
        while monotonic() < ends:
            await asyncio.sleep(interval)
            try:
                return await self._grant(form)
            except Unavailable:
                # It may be so for a moment; then it is asked less often (RFC 8628, 3.5).
                interval = min(2 * interval, 60.0)
            except GrantRefused as refusal:
                if refusal.code == "slow_down":
                    interval += _SLOWER
                elif refusal.code == "access_denied":
                    raise Unauthenticated("LOGIN_DENIED", f"the login at {self.issuer} was denied") from None
                elif refusal.code == "expired_token":
                    break
                elif refusal.code != "authorization_pending":
                    raise self._refused(str(refusal)) from None
        raise Unauthenticated(
            "LOGIN_LATE", f"nobody confirmed the login at {self.issuer} in time: `intent login` begins again"
        )

    async def _grant(self, form: Mapping[str, str]) -> Grant:
        status, answer = await self._post("token_endpoint", form)
        try:
            return grant_of(status, answer, f"the token endpoint of {self.issuer}")
        except IssuerUnavailable as error:
            raise unavailable(str(error)) from None

    async def _post(
        self, endpoint: str, form: Mapping[str, str], *, empty: bool = False
    ) -> tuple[int, dict[str, Any]]:
        """Send a form to one of the issuer's endpoints; with `empty` the answer may be so."""
        headers = {"accept": "application/json"}
        if self.secret_file is not None:
            headers["authorization"] = basic(self.client_id, read_secret(self.secret_file))
        try:
            async with session(seconds=_PATIENCE) as calls:
                url = await discovered(calls, self.issuer, "", endpoint)
                if empty:
                    async with calls.post(url, data=form, headers=headers, allow_redirects=False) as answer:
                        answer.raise_for_status()
                        return answer.status, {}
                return await posted(calls, url, form, headers)
        except (IssuerUnavailable, aiohttp.ClientError, TimeoutError, OSError) as error:
            raise unavailable(str(error)) from None

    def _form(self) -> dict[str, str]:
        wanted = {"scope": self.scope, "audience": self.audience, **self._named()}
        return {key: value for key, value in wanted.items() if value}

    def _named(self) -> dict[str, str]:
        """Return the program's id for a form; with a secret, the header says it."""
        return {} if self.secret_file else {"client_id": self.client_id}

    def _login(self, grant: Grant) -> Login:
        return Login(
            issuer=self.issuer,
            client_id=self.client_id,
            access_token=grant.access_token,
            seconds=grant.seconds or 0.0,
            granted=time(),
            refresh_token=grant.refresh_token,
            secret_file=str(self.secret_file or ""),
            scope=self.scope,
            audience=self.audience,
        )

    def _refused(self, why: str) -> Unauthenticated:
        return Unauthenticated(
            "TOKEN_REFUSED", f"{self.issuer} gives the client {self.client_id} no token ({why})"
        )


def _prompt(answer: Mapping[str, Any], issuer: str) -> DevicePrompt:
    url, code = str(answer.get("verification_uri", "")), str(answer.get("user_code", ""))
    whole = str(answer.get("verification_uri_complete", ""))
    if not is_protected(url) or not code:
        raise Unavailable("TOKEN_UNAVAILABLE", f"{issuer} names no page of https:// on which to log in")
    # They go to a terminal.
    return DevicePrompt(escaped(url), escaped(code), escaped(whole) if is_protected(whole) else "")


def _number(answer: Mapping[str, Any], key: str, default: float) -> float:
    found = answer.get(key)
    return float(found) if isinstance(found, int | float) and 0 < found < _MOST_SECONDS else default


def _ends(answer: Mapping[str, Any]) -> float:
    return monotonic() + _number(answer, "expires_in", _MOST_SECONDS)
