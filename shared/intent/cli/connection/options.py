"""The options by which commands say where they call, and on whose behalf."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, TypeAlias

import typer

from intent.cli.connection.profiles import profile_names

__all__ = [
    "DEV_TENANT",
    "Actor",
    "AsJson",
    "Audience",
    "ClientId",
    "ClientSecretFile",
    "ContextName",
    "IssuerUrl",
    "ProfileName",
    "Reason",
    "Roles",
    "Scope",
    "SpeakTls",
    "Target",
    "Tenant",
    "Timeout",
    "TlsCa",
    "TlsCert",
    "TlsKey",
    "TlsServerName",
    "Token",
    "TokenCommandLine",
    "TokenFileName",
    "TokenInPlainText",
]

DEV_TENANT: Final = "demo"
_PANEL: Final = "Caller"
_ISSUER: Final = "Issuer of the caller's tokens"

Reason: TypeAlias = Annotated[str, typer.Option("--reason", help="Why; it is recorded in the audit.")]
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
ContextName: TypeAlias = Annotated[
    str,
    typer.Option(
        "--context",
        "-c",
        envvar="INTENT_CONTEXT",
        help="Which context, if several run.",
        rich_help_panel=_PANEL,
    ),
]
ProfileName: TypeAlias = Annotated[
    str,
    typer.Option(
        "--profile",
        envvar="INTENT_PROFILE",
        help="The profile that says what options and variables do not; see `intent profile`.",
        autocompletion=profile_names,
        rich_help_panel=_PANEL,
    ),
]

Target: TypeAlias = Annotated[
    str,
    typer.Option(
        "--target",
        envvar="INTENT_TARGET",
        help="Where it is served, host:port; several contexts: orders=host:port,payments=host:port. "
        "Default: what `intent dev` runs here.",
        rich_help_panel=_PANEL,
    ),
]

Tenant: TypeAlias = Annotated[
    str,
    typer.Option(
        "--tenant",
        "-t",
        envvar="INTENT_TENANT",
        help=f"The tenant on whose data to act. Default with `intent dev`: {DEV_TENANT}.",
        rich_help_panel=_PANEL,
    ),
]

Actor: TypeAlias = Annotated[
    str,
    typer.Option("--actor", envvar="INTENT_ACTOR", help="Who asks, e.g. user:ann.", rich_help_panel=_PANEL),
]

Roles: TypeAlias = Annotated[
    str,
    typer.Option(
        "--roles",
        envvar="INTENT_ROLES",
        help="Roles of the caller, with commas. Default in development: all.",
        rich_help_panel=_PANEL,
    ),
]

Token: TypeAlias = Annotated[
    str,
    typer.Option(
        "--token",
        envvar="INTENT_TOKEN",
        help="The caller's access token. Process lists and the shell's history show this option: prefer "
        "the variable or a file.",
        rich_help_panel=_PANEL,
    ),
]

TokenFileName: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--token-file",
        envvar="INTENT_TOKEN_FILE",
        help="File with the token; read again when it changes.",
        exists=True,
        dir_okay=False,
        readable=True,
        rich_help_panel=_PANEL,
    ),
]

TokenCommandLine: TypeAlias = Annotated[
    str,
    typer.Option(
        "--token-command",
        envvar="INTENT_TOKEN_COMMAND",
        help="Command that prints the token, e.g. 'gcloud auth print-access-token'.",
        rich_help_panel=_PANEL,
    ),
]

TokenInPlainText: TypeAlias = Annotated[
    bool | None,
    typer.Option(
        "--token-in-plain-text/--no-token-in-plain-text",
        envvar="INTENT_TOKEN_IN_PLAIN_TEXT",
        help="Send the token without TLS to other machines as well.",
        rich_help_panel=_PANEL,
    ),
]

SpeakTls: TypeAlias = Annotated[
    bool | None,
    typer.Option(
        "--tls/--no-tls",
        envvar="INTENT_TLS",
        help="Speak TLS, as each of the following options does too.",
        rich_help_panel=_PANEL,
    ),
]

TlsCa: TypeAlias = Annotated[
    str,
    typer.Option(
        "--tls-ca",
        envvar="INTENT_TLS_CA_PATH",
        metavar="FILE",
        help="Authorities that the server's certificate may be of; default: the system's.",
        rich_help_panel=_PANEL,
    ),
]

TlsCert: TypeAlias = Annotated[
    str,
    typer.Option(
        "--tls-cert",
        envvar="INTENT_TLS_CERT_PATH",
        metavar="FILE",
        help="Own certificate, for servers that ask for one.",
        rich_help_panel=_PANEL,
    ),
]

TlsKey: TypeAlias = Annotated[
    str,
    typer.Option(
        "--tls-key",
        envvar="INTENT_TLS_KEY_PATH",
        metavar="FILE",
        help="Private key of the own certificate.",
        rich_help_panel=_PANEL,
    ),
]

TlsServerName: TypeAlias = Annotated[
    str,
    typer.Option(
        "--tls-server-name",
        envvar="INTENT_TLS_SERVER_NAME",
        metavar="NAME",
        help="Name in the server's certificate, when it is not that of the address.",
        rich_help_panel=_PANEL,
    ),
]

Timeout: TypeAlias = Annotated[
    float,
    typer.Option("--timeout", help="Longest time of a call, in seconds.", min=0.1, rich_help_panel=_PANEL),
]

IssuerUrl: TypeAlias = Annotated[
    str,
    typer.Option(
        "--issuer",
        envvar="INTENT_ISSUER",
        metavar="URL",
        help="The issuer, by the name in its tokens. Default: that of `intent dev --identity token`.",
        rich_help_panel=_ISSUER,
    ),
]

ClientId: TypeAlias = Annotated[
    str,
    typer.Option(
        "--client-id",
        envvar="INTENT_CLIENT_ID",
        metavar="ID",
        help="How the issuer knows this program.",
        rich_help_panel=_ISSUER,
    ),
]

ClientSecretFile: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--client-secret-file",
        envvar="INTENT_CLIENT_SECRET_FILE",
        help="File with the program's secret, where it has one; with it, tokens are the program's own "
        "(client credentials).",
        exists=True,
        dir_okay=False,
        readable=True,
        rich_help_panel=_ISSUER,
    ),
]

Scope: TypeAlias = Annotated[
    str,
    typer.Option(
        "--scope",
        envvar="INTENT_SCOPE",
        help="Scopes to ask for, with spaces.",
        rich_help_panel=_ISSUER,
    ),
]

Audience: TypeAlias = Annotated[
    str,
    typer.Option(
        "--audience",
        envvar="INTENT_AUDIENCE",
        help="Audience to ask for, where the issuer wants to be told.",
        rich_help_panel=_ISSUER,
    ),
]
