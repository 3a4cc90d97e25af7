"""Options that several commands share, and the client that they lead to."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Final, TypeAlias, TypeVar

import typer

from intent.cli.addresses import address_of, addresses
from intent.cli.exits import UsageError

if TYPE_CHECKING:
    from intent.client import IntentClient
    from intent.contracts import Registry

__all__ = [
    "Actor",
    "AsJson",
    "CallOptions",
    "ContextName",
    "Roles",
    "Target",
    "Tenant",
    "Timeout",
    "Tls",
    "Token",
    "with_client",
    "with_clients",
]

T = TypeVar("T")

_DEV_TENANT: Final = "demo"
_WHO: Final = "CallOptions"

Target: TypeAlias = Annotated[
    str,
    typer.Option(
        "--target",
        envvar="INTENT_TARGET",
        help="Where it is served, host:port; several contexts: orders=host:port,payments=host:port. "
        "Default: what `intent dev` runs here.",
        rich_help_panel=_WHO,
    ),
]
ContextName: TypeAlias = Annotated[
    str,
    typer.Option(
        "--context",
        "-c",
        envvar="INTENT_CONTEXT",
        help="Which context, if several run.",
        rich_help_panel=_WHO,
    ),
]
Tenant: TypeAlias = Annotated[
    str,
    typer.Option(
        "--tenant",
        "-t",
        envvar="INTENT_TENANT",
        help=f"The tenant on whose data to act. Default with `intent dev`: {_DEV_TENANT}.",
        rich_help_panel=_WHO,
    ),
]
Actor: TypeAlias = Annotated[
    str,
    typer.Option("--actor", envvar="INTENT_ACTOR", help="Who asks, e.g. user:ann.", rich_help_panel=_WHO),
]
Roles: TypeAlias = Annotated[
    str,
    typer.Option(
        "--roles",
        envvar="INTENT_ROLES",
        help="Roles of the caller, with commas. Default in development: all.",
        rich_help_panel=_WHO,
    ),
]
Token: TypeAlias = Annotated[
    str,
    typer.Option(
        "--token", envvar="INTENT_TOKEN", help="Value of the metadata authorization.", rich_help_panel=_WHO
    ),
]
Tls: TypeAlias = Annotated[
    bool, typer.Option("--tls", envvar="INTENT_TLS", help="Speak TLS.", rich_help_panel=_WHO)
]
Timeout: TypeAlias = Annotated[
    float, typer.Option("--timeout", help="Longest time in all, in seconds.", min=0.1, rich_help_panel=_WHO)
]
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


@dataclass(frozen=True, slots=True)
class CallOptions:
    """Where a command connects, and on whose behalf.

    Attributes:
        target: The address or addresses, or empty for what `intent dev` runs.
        tenant: The tenant, or empty.
        actor: Who asks, or empty.
        roles: Roles with commas, or empty.
        token: The value of the metadata authorization, or empty.
        tls: Whether to speak TLS.
        timeout: Longest time of a call in all, in seconds.
        needs_tenant: Whether the call acts on a tenant's data.
    """

    target: str
    tenant: str = ""
    actor: str = ""
    roles: str = ""
    token: str = ""
    tls: bool = False
    timeout: float = 30.0
    needs_tenant: bool = True

    def connect(self, context: str, registry: Registry) -> IntentClient:
        """Returns a client for a context.

        Args:
            context: The context; empty for the only one that runs.
            registry: The contracts.

        Raises:
            UsageError: The context or the tenant is not known.
        """
        return self.client(address_of(self.target, context), registry)

    def places(self, context: str) -> Mapping[str, str]:
        """Returns the addresses of all contexts by their names, or that of one.

        Args:
            context: Which one; empty for all.

        Raises:
            UsageError: It is not known where they are served.
        """
        return {context: address_of(self.target, context)} if context else addresses(self.target)

    def whose(self) -> str:
        """Returns the tenant on whose data to act; empty when the token or the call says it.

        Raises:
            UsageError: It is not known.
        """
        if self.tenant or not self.needs_tenant or self.token:
            return self.tenant
        if self.target:
            raise UsageError("which tenant? give --tenant NAME, or set INTENT_TENANT")
        return _DEV_TENANT

    def client(self, address: str, registry: Registry) -> IntentClient:
        """Returns a client for an address.

        Raises:
            UsageError: The tenant is not known.
        """
        import grpc

        from intent.client import IntentClient

        return IntentClient.connect(
            address,
            tenant=self.whose(),
            actor=self.actor or None,
            roles=[role.strip() for role in self.roles.split(",")] if self.roles else None,
            token=self.token or None,
            timeout=self.timeout,
            credentials=grpc.ssl_channel_credentials() if self.tls else None,
            registry=registry,
        )


def with_client(
    caller: CallOptions, context: str, registry: Registry, work: Callable[[IntentClient], Awaitable[T]]
) -> T:
    """Runs work with a client of a context and returns what it returns."""

    async def run() -> T:
        async with caller.connect(context, registry) as client:
            return await work(client)

    return asyncio.run(run())


def with_clients(
    caller: CallOptions, context: str, registry: Registry, work: Callable[[IntentClient], Awaitable[T]]
) -> tuple[dict[str, T], dict[str, str]]:
    """Runs work with a client of each context, or of one, side by side.

    A context that is away or refuses keeps nothing from the others.

    Args:
        caller: Where the contexts are, and on whose behalf.
        context: Which one; empty for all.
        registry: The contracts.
        work: Gets each client.

    Returns:
        What it returned, and what kept it from returning, each by the context's name.

    Raises:
        CommandError: Nothing answered; the answer of the first.
    """
    from intent.errors import CommandError, DeadlineExceeded

    places = caller.places(context)

    async def one(address: str) -> T | CommandError:
        try:
            async with caller.client(address, registry) as client, asyncio.timeout(caller.timeout):
                return await work(client)
        except (TimeoutError, DeadlineExceeded):
            return DeadlineExceeded("NO_ANSWER", f"no answer from {address} within {caller.timeout:g} s")
        except CommandError as error:
            return error

    async def run() -> dict[str, T | CommandError]:
        answers = await asyncio.gather(*(one(address) for address in places.values()))
        return dict(zip(places, answers, strict=True))

    answers = asyncio.run(run())
    errors = {name: answer for name, answer in answers.items() if isinstance(answer, CommandError)}
    if len(errors) == len(answers):
        raise next(iter(errors.values()))
    return (
        {name: answer for name, answer in answers.items() if not isinstance(answer, CommandError)},
        {name: error.message for name, error in errors.items()},
    )
