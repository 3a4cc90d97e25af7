"""Options that several commands share, and the client that they lead to."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Final, TypeAlias, TypeVar

import typer

from intent.cli.exits import UsageError

if TYPE_CHECKING:
    from intent.contracts import Registry
    from intent.service.client import IntentClient

__all__ = [
    "Actor",
    "AsJson",
    "Caller",
    "ContextName",
    "Roles",
    "Target",
    "Tenant",
    "Timeout",
    "Tls",
    "Token",
    "with_client",
]

T = TypeVar("T")

_DEV_TENANT: Final = "demo"
_WHO: Final = "Caller"

Target: TypeAlias = Annotated[
    str,
    typer.Option(
        "--target",
        envvar="INTENT_TARGET",
        help="Where the context is served, host:port. Default: what `intent dev` runs here.",
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
class Caller:
    """Where a command connects, and on whose behalf.

    Attributes:
        target: The address, or empty for what `intent dev` runs.
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
        import grpc

        from intent.service.client import IntentClient

        target = self.target or _running(context)
        return IntentClient.connect(
            target,
            tenant=self._tenant(),
            actor=self.actor or None,
            roles=[role.strip() for role in self.roles.split(",")] if self.roles else None,
            token=self.token or None,
            timeout=self.timeout,
            credentials=grpc.ssl_channel_credentials() if self.tls else None,
            registry=registry,
        )

    def _tenant(self) -> str:
        if self.tenant or not self.needs_tenant or self.token:
            return self.tenant
        if self.target:
            raise UsageError("which tenant? give --tenant NAME, or set INTENT_TENANT")
        return _DEV_TENANT


def _running(context: str) -> str:
    """Returns the address of a context that `intent dev` runs."""
    from intent.runtime.dev.state import DevState, dev_folder

    state = DevState.read(dev_folder())
    if state is None:
        raise UsageError("nothing runs here: start `intent dev`, or give --target host:port")
    if not context and len(state.contexts) == 1:
        return next(iter(state.contexts.values())).target
    known = ", ".join(sorted(state.contexts))
    if not context:
        raise UsageError(f"which context? give --context with one of: {known}")
    if context not in state.contexts:
        raise UsageError(f"the context {context} does not run here; running are: {known}")
    return state.contexts[context].target


def with_client(
    caller: Caller, context: str, registry: Registry, work: Callable[[IntentClient], Awaitable[T]]
) -> T:
    """Runs work with a client of a context and returns what it returns."""

    async def run() -> T:
        async with caller.connect(context, registry) as client:
            return await work(client)

    return asyncio.run(run())
