"""``intent token``: the token of the caller, for other programs."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Annotated, Any

import typer

from intent.cli.connection import CallOptions, calls_context
from intent.cli.exits import UsageError
from intent.cli.output import echo, echo_json

__all__ = ["claims_of", "register"]

HELP = """Print an access token that counts, renewed if it must be, for programs that need one.

\b
  grpcurl -H "authorization: Bearer $(intent token)" …
  intent token --claims                              what it says of whom

It is the one with which commands call: of the login, or of the options. Whoever has it can act as you
until it ends.
"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("token", help=HELP)(token)


@calls_context(needs_tenant=False, without={"tenant", "timeout"})
def token(
    caller: CallOptions,
    claims: Annotated[
        bool, typer.Option("--claims", help="Print what the token says; nobody has verified it.")
    ] = False,
) -> None:
    """Print the caller's token."""
    from intent.errors import Unauthenticated

    source = caller.source
    if source is None:
        raise Unauthenticated("LOGIN_NEEDED", "there is no token: log in with `intent login`")
    text = asyncio.run(source.authorization()).rpartition(" ")[2]
    if claims:
        echo_json(claims_of(text))
    else:
        echo(text)


def claims_of(text: str) -> dict[str, Any]:
    """Return what a token says.

    Raises:
        UsageError: It says nothing that can be read without its issuer.
    """
    parts = text.split(".")
    try:
        found = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, IndexError, RecursionError):
        found = None
    if len(parts) != 3 or not isinstance(found, dict):
        raise UsageError("the token is no JWT: only its issuer knows what it says")
    return found
