"""``intent login`` and ``intent logout``."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Annotated, Any

import typer

from intent.cli.connection import Profiles, completed, running_issuer
from intent.cli.connection.options import Audience, ClientId, ClientSecretFile, IssuerUrl, ProfileName, Scope
from intent.cli.exits import UsageError
from intent.cli.output import echo

if TYPE_CHECKING:
    from intent.cli.logins import Login
    from intent.cli.logins.asking import Asking, DevicePrompt

__all__ = ["register"]

LOGIN = """Log in, so that further commands call with a token.

You confirm it in a browser, here or on another device (OAuth's device flow). A program logs itself in
by its secret (client credentials). Without --issuer, it is that of `intent dev --identity token`.

\b
  intent login
  intent login --issuer https://id.example.com --client-id intent-cli --scope "orders offline_access"
  intent login --issuer https://id.example.com --client-id robot --client-secret-file robot.secret

What the issuer grants is kept in a file that you alone can read, for the profile in use, and is renewed
when it must be.
"""
LOGOUT = """Forget the login of the profile in use, and have the issuer renew it no more."""
_MEANS = "Means"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("login", help=LOGIN)(login)
    app.command("logout", help=LOGOUT)(logout)


def login(
    device: Annotated[
        bool, typer.Option("--device", help="Confirm it in a browser.", rich_help_panel=_MEANS)
    ] = False,
    client_credentials: Annotated[
        bool,
        typer.Option(
            "--client-credentials",
            help="Log the program itself in, by its secret; the default where there is one.",
            rich_help_panel=_MEANS,
        ),
    ] = False,
    profile: ProfileName = "",
    issuer: IssuerUrl = "",
    client_id: ClientId = "",
    client_secret_file: ClientSecretFile = None,
    scope: Scope = "",
    audience: Audience = "",
) -> None:
    """Log in."""
    from intent.cli.logins import LoginFile

    given: dict[str, Any] = {"profile": profile, "issuer": issuer, "client_id": client_id}
    given |= {"client_secret_file": client_secret_file, "scope": scope, "audience": audience}
    values = completed(given)
    file = LoginFile(values["login"])
    asking = _asking(values)
    by_secret = _by_secret(device, client_credentials, has_secret=asking.secret_file is not None)
    granted = asyncio.run(asking.by_secret() if by_secret else asking.by_device(_show))
    file.write(granted)
    echo(f"Logged in at {granted.issuer} as {_subject(granted)}; kept in {file.path}", err=True)


def logout(profile: ProfileName = "") -> None:
    """Forget a login."""
    from intent.cli.logins import LoginFile
    from intent.cli.logins.asking import Asking
    from intent.errors import ConfigurationError, Unavailable

    file = LoginFile(Profiles.read().get(profile).name)
    try:
        known = file.read()
    except ConfigurationError as error:
        file.remove()
        echo(f"The login is forgotten; the issuer was not told, as {error}", err=True)
        return
    if known is None:
        echo("Nobody is logged in.", err=True)
        return
    file.remove()
    told = ""
    if known.refresh_token:
        try:
            asyncio.run(Asking.again(known).withdraw(known.refresh_token))
        except Unavailable as error:
            told = f"; the issuer was not told: {error.message}"
    echo(f"Logged out at {known.issuer}{told}", err=True)


def _asking(values: dict[str, Any]) -> Asking:
    """Return what asks the issuer.

    Raises:
        UsageError: It is not known whom to ask, or as which program.
    """
    from intent.cli.logins.asking import Asking
    from intent.dev.identity import CLIENT_ID

    local = running_issuer()
    issuer = values["issuer"] or local
    if not issuer:
        raise UsageError(
            "log in where? give --issuer URL and --client-id ID, or set them in the profile, or start "
            "`intent dev --identity token`"
        )
    client_id = values["client_id"] or (CLIENT_ID if issuer == local else "")
    if not client_id:
        raise UsageError(f"how does {issuer} know this program? give --client-id ID")
    secret = values["client_secret_file"]
    return Asking(issuer, client_id, secret and secret.absolute(), values["scope"], values["audience"])


def _by_secret(device: bool, client_credentials: bool, *, has_secret: bool) -> bool:
    if device and client_credentials:
        raise UsageError("--device and --client-credentials exclude each other; keep one of them")
    if client_credentials and not has_secret:
        raise UsageError("--client-credentials needs --client-secret-file FILE")
    return has_secret and not device


def _show(prompt: DevicePrompt) -> None:
    echo(f"Open {prompt.url} in a browser and enter the code {prompt.code}", err=True)
    if prompt.whole_url:
        echo(f"  or open {prompt.whole_url}", err=True)
    echo("Waiting until you have confirmed it …", err=True)


def _subject(login: Login) -> str:
    from intent.cli.commands.access.token import claims_of

    with contextlib.suppress(UsageError):
        return str(claims_of(login.access_token).get("sub", "nobody"))
    return login.client_id if login.own else "you"
