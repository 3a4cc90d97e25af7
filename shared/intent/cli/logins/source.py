"""The tokens of a login, which is renewed when it must be."""

from __future__ import annotations

from intent.cli.logins.files import Login, LoginFile
from intent.client.tokens import FetchedToken, TokenSource
from intent.errors import Unauthenticated

__all__ = ["LoginSource"]


class LoginSource(TokenSource):
    """The token of a login; another one when it ends, which is kept for other commands too.

    Args:
        file: The login's file.
        issuer: The issuer, for messages.
    """

    def __init__(self, file: LoginFile, issuer: str) -> None:
        super().__init__(f"the login at {issuer}")
        self._file = file
        self._sent = ""

    async def fetch(self) -> FetchedToken:
        """Return the token of the login, renewed if it counts no longer.

        Raises:
            Unauthenticated: The login has ended.
            Unavailable: The issuer is.
        """
        login = self._read()
        if not self._serves(login):
            async with self._file.held():
                # Another process may have renewed it meanwhile.
                login = self._read()
                if not self._serves(login):
                    login = await self._next(login)
                    self._file.write(login)
        self._sent = login.access_token
        return FetchedToken(login.access_token, login.left)

    def _read(self) -> Login:
        login = self._file.read()
        if login is None:
            raise _ended(self._file, "somebody has logged out")
        return login

    def _serves(self, login: Login) -> bool:
        """Return whether a login has a token that counts, and is not one that a context has refused."""
        return login.counts and login.access_token != self._sent

    async def _next(self, login: Login) -> Login:
        # What speaks to issuers takes long to load, and most commands find a token that counts.
        from intent.cli.logins.asking import Asking
        from intent.oidc import GrantRefused

        asking = Asking.again(login)
        if login.own:
            return await asking.by_secret()
        if not login.refresh_token:
            raise _ended(self._file, f"the login at {login.issuer} has ended and cannot be renewed")
        try:
            return await asking.by_refreshing(login.refresh_token)
        except GrantRefused as refusal:
            why = f"the login at {login.issuer} has ended ({refusal})"
            raise _ended(self._file, why) from None


def _ended(file: LoginFile, why: str) -> Unauthenticated:
    return Unauthenticated("LOGIN_ENDED", f"{why}: log in again with `{file.command}`")
