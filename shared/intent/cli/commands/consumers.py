"""``intent consumers``: the consumers of the contexts' events, and their progress."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from intent.cli.calls import require_all, with_client, with_clients
from intent.cli.connection import AsJson, CallOptions, ContextName, Reason, calls_context
from intent.cli.output import echo, echo_json

if TYPE_CHECKING:
    from intent_contracts.intent.v1 import ConsumerInfo

    from intent.client import IntentClient

__all__ = ["register"]

HELP = """Show the consumers of the contexts' events: their progress and their instances.

Without a command it lists them. With the role operator the caller sees and operates the consumers of its
tenant, with consumer-all too those of all tenants; everybody has both in development. With the role
consumer or service it sees its own, whose names begin with its name.

\b
  intent consumers
  intent consumers list --context orders
  intent consumers remove shipping.old-orders --context orders

Events that a consumer failed on too often are parked: `intent parked list`.
"""
_LIST = """List consumers: who joined last, their lag, their instances, and how many streams they have parked.

Of every context that runs, or of one with --context. Exit code 6 says that one gave no answer.
Types of events that no contract of the context defines are named below the list; in JSON they are the
consumer's unknown_types.
"""
_REMOVE = """Remove a consumer that is no longer used: its progress and its parked events.

If it comes back, it starts over. Until it is removed, its lag keeps growing.
"""

_app = typer.Typer(name="consumers", help=HELP, rich_markup_mode="rich")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(_app)


@_app.callback(invoke_without_command=True)
def _root(ctx: typer.Context) -> None:
    if ctx.invoked_subcommand is None:
        list_()


@_app.command("list", help=_LIST)
@calls_context(needs_tenant=False, timeout=10.0)
def list_(
    caller: CallOptions,
    as_json: AsJson = False,
    context: ContextName = "",
) -> None:
    """List consumers."""
    from intent.cli.plain import to_dict
    from intent.contracts import Registry

    async def work(client: IntentClient) -> Sequence[ConsumerInfo]:
        return (await client.consumers.list()).consumers

    found, missing = with_clients(caller, context, Registry.load(), work)
    if as_json:
        values = [{"context": name, **to_dict(info)} for name, infos in found.items() for info in infos]
        echo_json(values)
    else:
        _print(found, complete=not missing)
    require_all(missing)


@_app.command("remove", help=_REMOVE)
@calls_context(needs_tenant=False)
def remove(
    caller: CallOptions,
    consumer: Annotated[str, typer.Argument(help="Its name, e.g. shipping.known-orders.")],
    reason: Reason = "",
    context: ContextName = "",
) -> None:
    """Remove a consumer: that of a tenant when one is given, else that of all tenants."""
    from intent.contracts import Registry

    async def work(client: IntentClient) -> None:
        await client.consumers.remove(consumer, all_tenants=not caller.tenant, reason=reason)

    with_client(caller, context, Registry.load(), work)
    echo(f"{consumer} is removed")


def _print(found: Mapping[str, Sequence[ConsumerInfo]], *, complete: bool) -> None:
    from rich.text import Text

    from intent.cli.tables import print_table

    if not any(found.values()):
        if complete:
            echo("no consumers")
        return
    numbers = ("Position", "Lag", "Instances", "Parked streams")
    print_table(
        ("Events of", "Consumer", "Tenant", "Joined by", *numbers),
        (
            (
                context,
                info.consumer,
                info.tenant_id or Text("every", "dim"),
                info.joined_by or Text("unknown", "dim"),
                str(info.position),
                str(info.lag),
                str(info.instances) if info.instances else Text("0", "red"),
                Text(str(info.parked_streams), "red") if info.parked_streams else "0",
            )
            for context, infos in found.items()
            for info in infos
        ),
        numbers=numbers,
        unwrapped=("Consumer",),
    )
    for context, infos in found.items():
        for info in filter(lambda info: info.unknown_types, infos):
            echo(
                f"{info.consumer} waits for {', '.join(info.unknown_types)}, which no contract of {context} "
                "defines: nothing arrives unless a newer release records it. Are name and context right?"
            )
