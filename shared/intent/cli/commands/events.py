"""``intent events``: reads and follows the log of a context."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Annotated

import typer

from intent.cli.exits import UsageError
from intent.cli.options import (
    Actor,
    AsJson,
    Caller,
    ContextName,
    Roles,
    Target,
    Tenant,
    Tls,
    Token,
    with_client,
)

if TYPE_CHECKING:
    from intent_contracts.intent.v1 import RecordedEvent

    from intent.contracts import Registry
    from intent.service.client import IntentClient

__all__ = ["register"]

HELP = """Read the events of a tenant, decoded, in the order in which they were recorded.

\b
  intent events                                  what happened until now
  intent events --follow                         and go on with what happens
  intent events --follow --new                   only what happens from now on
  intent events --stream Order/o-1               one aggregate
  intent events --type OrderPlaced --json        one kind of event, a JSON object a line
  intent events --correlation checkout-17 -t acme
  intent events --after 1000 --limit 50

Each line: position, time, stream and version, event, fields.
"""


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("events", help=HELP)(events)


def events(
    follow: Annotated[bool, typer.Option("--follow", "-F", help="Go on with new events.")] = False,
    new: Annotated[bool, typer.Option("--new", help="Only events from now on; implies --follow.")] = False,
    after: Annotated[int, typer.Option("--after", min=0, help="Position after which to begin.")] = 0,
    limit: Annotated[int, typer.Option("--limit", "-n", min=0, help="End after so many; 0: no end.")] = 0,
    stream: Annotated[
        str, typer.Option("--stream", "-s", help="One aggregate: Order/o-1; all of a kind: Order.")
    ] = "",
    types: Annotated[
        list[str] | None, typer.Option("--type", help="Only this event; may be given several times.")
    ] = None,
    correlation: Annotated[str, typer.Option("--correlation", help="Only this correlation id.")] = "",
    as_json: AsJson = False,
    context: ContextName = "",
    target: Target = "",
    tenant: Tenant = "",
    actor: Actor = "",
    roles: Roles = "",
    token: Token = "",
    tls: Tls = False,
) -> None:
    """Reads the events of a tenant."""
    from intent.cli.messages import find_type
    from intent.contracts import Registry

    registry = Registry.load()
    contracts = [find_type(name, registry.events, "event") for name in types or ()]
    context = context or next((contract.context for contract in contracts), "")
    kind, id_ = _stream(stream)
    caller = Caller(target, tenant, actor, roles, token, tls)
    printer = _Printer(registry, as_json)

    async def work(client: IntentClient) -> None:
        log = client.events(
            after=after,
            follow=follow or new,
            from_now=new,
            types=[contract.type for contract in contracts],
            aggregate_type=kind,
            aggregate_id=id_,
            correlation_id=correlation,
        )
        await _print(log, printer, limit)

    with_client(caller, context, registry, work)


async def _print(log: AsyncIterator[RecordedEvent], printer: _Printer, limit: int) -> None:
    count = 0
    async for event in log:
        printer.show(event)
        count += 1
        if count == limit:
            return


def _stream(text: str) -> tuple[str, str]:
    kind, _, id_ = text.partition("/")
    if text and not kind:
        raise UsageError(f"--stream {text} names no aggregate; it reads like Order/o-1")
    return kind, id_


class _Printer:
    """Writes events, for a person or for a program."""

    def __init__(self, registry: Registry, as_json: bool) -> None:
        from rich.console import Console

        self._registry = registry
        self._as_json = as_json
        self._console = Console(highlight=False, soft_wrap=True)

    def show(self, event: RecordedEvent) -> None:
        """Writes one event."""
        from rich.markup import escape

        from intent.cli.messages import event_fields, event_to_dict

        if self._as_json:
            typer.echo(json.dumps(event_to_dict(event, self._registry), ensure_ascii=False))
            return

        when = event.recorded_at.ToDatetime().strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
        fields = json.dumps(event_fields(event, self._registry), ensure_ascii=False)
        stream = f"{event.aggregate_type}/{event.aggregate_id}"
        self._console.print(
            f"[dim]{event.position:>6}  {when}[/dim]  {escape(stream)} [dim]v{event.version}[/dim]  "
            f"[bold green]{event.type.rpartition('.')[2]}[/bold green]  {escape(fields)}"
        )
