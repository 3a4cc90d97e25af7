"""Options that several commands share: where a command calls, and on whose behalf."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Concatenate, Final, Literal, ParamSpec, TypeAlias

import typer

from intent.addresses import is_local
from intent.cli.addresses import address_of, addresses
from intent.cli.exits import UsageError

if TYPE_CHECKING:
    from intent.client import IntentClient, Tls, TokenSource
    from intent.contracts import Registry

__all__ = ["AsJson", "CallOptions", "ContextName", "calls_context", "variables_of"]

P = ParamSpec("P")

_DEV_TENANT: Final = "demo"
_PANEL: Final = "Caller"

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


@dataclass(frozen=True, slots=True, kw_only=True)
class CallOptions:
    """Where a command connects, and on whose behalf: each annotated field is an option.

    Attributes:
        target: The address or addresses, or empty for what `intent dev` runs.
        tenant: The tenant, or empty.
        actor: Who asks, or empty.
        roles: Roles with commas, or empty.
        token: The access token, or empty.
        token_file: The file with the token.
        token_command: The command that prints the token, or empty.
        token_in_plain_text: Whether to send the token without TLS to other machines as well.
        tls: Whether to speak TLS.
        timeout: Longest time of a call in all, in seconds.
        needs_tenant: Whether the call acts on a tenant's data.
    """

    target: Annotated[
        str,
        typer.Option(
            "--target",
            envvar="INTENT_TARGET",
            help="Where it is served, host:port; several contexts: orders=host:port,payments=host:port. "
            "Default: what `intent dev` runs here.",
            rich_help_panel=_PANEL,
        ),
    ] = ""
    tenant: Annotated[
        str,
        typer.Option(
            "--tenant",
            "-t",
            envvar="INTENT_TENANT",
            help=f"The tenant on whose data to act. Default with `intent dev`: {_DEV_TENANT}.",
            rich_help_panel=_PANEL,
        ),
    ] = ""
    actor: Annotated[
        str,
        typer.Option(
            "--actor", envvar="INTENT_ACTOR", help="Who asks, e.g. user:ann.", rich_help_panel=_PANEL
        ),
    ] = ""
    roles: Annotated[
        str,
        typer.Option(
            "--roles",
            envvar="INTENT_ROLES",
            help="Roles of the caller, with commas. Default in development: all.",
            rich_help_panel=_PANEL,
        ),
    ] = ""
    token: Annotated[
        str,
        typer.Option(
            "--token",
            envvar="INTENT_TOKEN",
            help="The caller's access token. Process lists and the shell's history show this option: prefer "
            "the variable or a file.",
            rich_help_panel=_PANEL,
        ),
    ] = ""
    token_file: Annotated[
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
    ] = None
    token_command: Annotated[
        str,
        typer.Option(
            "--token-command",
            envvar="INTENT_TOKEN_COMMAND",
            help="Command that prints the token, e.g. 'gcloud auth print-access-token'.",
            rich_help_panel=_PANEL,
        ),
    ] = ""
    token_in_plain_text: Annotated[
        bool,
        typer.Option(
            "--token-in-plain-text",
            envvar="INTENT_TOKEN_IN_PLAIN_TEXT",
            help="Send the token without TLS to other machines as well.",
            rich_help_panel=_PANEL,
        ),
    ] = False
    tls: Annotated[
        bool,
        typer.Option(
            "--tls",
            envvar="INTENT_TLS",
            help="Speak TLS, as each of the following options does too.",
            rich_help_panel=_PANEL,
        ),
    ] = False
    tls_ca: Annotated[
        str,
        typer.Option(
            "--tls-ca",
            envvar="INTENT_TLS_CA_PATH",
            metavar="FILE",
            help="Authorities that the server's certificate may be of; default: the system's.",
            rich_help_panel=_PANEL,
        ),
    ] = ""
    tls_cert: Annotated[
        str,
        typer.Option(
            "--tls-cert",
            envvar="INTENT_TLS_CERT_PATH",
            metavar="FILE",
            help="Own certificate, for servers that ask for one.",
            rich_help_panel=_PANEL,
        ),
    ] = ""
    tls_key: Annotated[
        str,
        typer.Option(
            "--tls-key",
            envvar="INTENT_TLS_KEY_PATH",
            metavar="FILE",
            help="Private key of the own certificate.",
            rich_help_panel=_PANEL,
        ),
    ] = ""
    tls_server_name: Annotated[
        str,
        typer.Option(
            "--tls-server-name",
            envvar="INTENT_TLS_SERVER_NAME",
            metavar="NAME",
            help="Name in the server's certificate, when it is not that of the address.",
            rich_help_panel=_PANEL,
        ),
    ] = ""
    timeout: Annotated[
        float,
        typer.Option(
            "--timeout", help="Longest time of a call, in seconds.", min=0.1, rich_help_panel=_PANEL
        ),
    ] = 30.0
    needs_tenant: bool = True

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
        """
        if self.tenant or not self.needs_tenant or self.source():
            return self.tenant
        if self.target:
            raise UsageError("which tenant? give --tenant NAME, or set INTENT_TENANT")
        return _DEV_TENANT

    def speaks(self) -> Tls | None:
        """Return the TLS to speak; None: plain text.

        Raises:
            ConfigurationError: A file cannot be used.
        """
        from intent.client import Tls

        named = (self.tls_ca, self.tls_cert, self.tls_key, self.tls_server_name)
        return Tls(*named) if self.tls or any(named) else None

    def source(self) -> TokenSource | None:
        """Return where the token comes from; None: there is none.

        Raises:
            UsageError: It is not clear which one is meant.
        """
        return _token_source(self.token, self.token_file, self.token_command)

    def client(self, address: str, registry: Registry) -> IntentClient:
        """Return a client for an address.

        Raises:
            UsageError: The tenant is not known, or the token would be sent in plain text.
        """
        from intent.client import IntentClient

        source, tls = self.source(), self.speaks()
        if source is not None and tls is None and not self.token_in_plain_text:
            _require_local(address)
        return IntentClient.connect(
            address,
            tenant=self.acting_tenant(),
            actor=self.actor or None,
            roles=[role.strip() for role in self.roles.split(",")] if self.roles else None,
            token=source,
            token_in_plain_text=self.token_in_plain_text,
            timeout=self.timeout,
            credentials=tls,
            registry=registry,
        )


@functools.lru_cache
def _token_source(token: str, file: Path | None, command: str) -> TokenSource | None:
    """Return where the token comes from, the same for each context."""
    options = {"--token": token, "--token-file": file, "--token-command": command}
    given = [name for name, value in options.items() if value]
    if len(given) > 1:
        raise UsageError(
            f"{' and '.join(given)} are given, as options or as their variables INTENT_TOKEN, "
            "INTENT_TOKEN_FILE and INTENT_TOKEN_COMMAND; keep one of them"
        )
    if not given:
        return None
    from intent.client.tokens import FixedToken, TokenCommand, TokenFile

    if file is not None:
        return TokenFile(file)
    return TokenCommand(command, patient=False) if command else FixedToken(token)


def _require_local(address: str) -> None:
    if not is_local(address):
        raise UsageError(
            f"the token would be sent to {address} in plain text, where whoever is on the way can use it: "
            "give --tls; or --token-in-plain-text, where something else protects the network"
        )


_FIELDS: Final = inspect.signature(CallOptions, eval_str=True).parameters


def calls_context(
    *,
    needs_tenant: bool = True,
    timeout: float = 30.0,
    without: Set[Literal["tenant", "timeout"]] = frozenset(),
) -> Callable[[Callable[Concatenate[CallOptions, P], None]], Callable[P, None]]:
    """Add the caller's options to a command, which gets them as its first argument.

    The options follow the command's own ones in its signature, where typer reads them.

    Args:
        needs_tenant: Whether the command acts on a tenant's data.
        timeout: The default of ``--timeout``, and the timeout of a command without that option, in seconds.
        without: Options that the command does not take.
    """
    fixed: Mapping[str, Any] = {"needs_tenant": needs_tenant, "timeout": timeout}
    options = {name: field.replace(default=fixed.get(name, field.default)) for name, field in _FIELDS.items()}
    for name in ("needs_tenant", *without):
        del options[name]

    def decorate(command: Callable[Concatenate[CallOptions, P], None]) -> Callable[P, None]:
        @functools.wraps(command)
        def run(*args: P.args, **kwargs: P.kwargs) -> None:
            given = {name: kwargs.pop(name) for name in options if name in kwargs}
            command(CallOptions(**{**fixed, **given}), *args, **kwargs)

        signature = inspect.signature(command, eval_str=True)
        _, *own = signature.parameters.values()
        run.__signature__ = signature.replace(parameters=[*own, *options.values()])  # type: ignore[attr-defined]
        return run

    return decorate


def variables_of(command: Any) -> frozenset[str]:
    """Return the environment variables that a command and its subcommands read.

    Args:
        command: A command as Typer builds it, e.g. ``typer.main.get_command(app)``.
    """
    own = frozenset(parameter.envvar for parameter in command.params if parameter.envvar)
    return own.union(*(variables_of(sub) for sub in getattr(command, "commands", {}).values()))
