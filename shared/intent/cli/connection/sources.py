"""Where a command's token comes from: an option, the program's secret, or a login."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from intent.cli.connection.running import running_issuer
from intent.cli.exits import UsageError
from intent.errors import Unauthenticated

if TYPE_CHECKING:
    from intent.cli.connection.callers import CallOptions
    from intent.cli.logins import Login
    from intent.client import TokenSource

__all__ = ["token_source"]

_GIVEN: Final[Mapping[str, tuple[str, str]]] = {
    "token": ("--token", "INTENT_TOKEN"),
    "token_file": ("--token-file", "INTENT_TOKEN_FILE"),
    "token_command": ("--token-command", "INTENT_TOKEN_COMMAND"),
    "client_secret_file": ("--client-secret-file", "INTENT_CLIENT_SECRET_FILE"),
}


def token_source(caller: CallOptions) -> TokenSource | None:
    """Return where the token comes from; None: there is none, and none is needed as far as is known.

    Raises:
        UsageError: It is not clear which one is meant, or something is missing.
        ConfigurationError: It cannot be used.
        Unauthenticated: Nobody is logged in where tokens are needed.
    """
    from intent.client.tokens import FixedToken, TokenCommand, TokenFile

    _require_one(caller)
    if caller.token_file is not None:
        return TokenFile(caller.token_file)
    if caller.token_command:
        return TokenCommand(caller.token_command, patient=False)
    return FixedToken(caller.token) if caller.token else _of_issuer(caller)


def _require_one(caller: CallOptions) -> None:
    given = [names for field, names in _GIVEN.items() if getattr(caller, field)]
    if len(given) > 1:
        options = " and ".join(option for option, _ in given)
        variables = ", ".join(variable for _, variable in given)
        raise UsageError(
            f"{options} are given, as options, as their variables {variables} or by the profile; keep one "
            "of them"
        )


def _of_issuer(caller: CallOptions) -> TokenSource | None:
    """Return the source of a login or of the program's secret; see `token_source`."""
    from intent.cli.logins import LoginFile, LoginSource

    issuer = caller.issuer or (None if caller.target else running_issuer())
    file = LoginFile(caller.login) if caller.login else None
    login = file.read() if file else None
    if file is not None and login is not None and _counts(login, issuer, caller):
        return LoginSource(file, login.issuer)
    if caller.client_secret_file is not None:
        return _own(caller, issuer)
    if not issuer:
        return None
    command = file.command if file else "intent login"
    raise Unauthenticated(
        "LOGIN_NEEDED",
        f"calls need a token of {issuer}, and nobody is logged in there{_elsewhere(login)}: `{command}`",
    )


def _counts(login: Login, issuer: str | None, caller: CallOptions) -> bool:
    """Return whether a login is one for these calls: never one of another issuer, or another program.

    Where `intent dev` believes its callers, it has no issuer, and takes no token; None: it is not known.
    """
    if caller.client_secret_file is not None:
        return (login.issuer, login.client_id, login.secret_file) == (
            *(issuer, caller.client_id),
            str(caller.secret_file),
        )
    return issuer is None or login.issuer == issuer


def _own(caller: CallOptions, issuer: str | None) -> TokenSource:
    from intent.client.tokens import ClientCredentials

    if not issuer or not caller.client_id:
        raise UsageError(
            "--client-secret-file needs --issuer and --client-id too, as options, as the variables "
            "INTENT_ISSUER and INTENT_CLIENT_ID, or in the profile"
        )
    assert caller.client_secret_file is not None
    return ClientCredentials(
        caller.client_id,
        caller.client_secret_file,
        issuer=issuer,
        scope=caller.scope,
        audience=caller.audience,
    )


def _elsewhere(login: Login | None) -> str:
    return f" (the login that is kept is one at {login.issuer})" if login else ""
