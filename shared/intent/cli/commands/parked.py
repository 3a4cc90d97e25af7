"""``intent parked``: shows and mends what consumers could not deal with."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, NamedTuple, TypeVar

import typer

from intent.cli.calls import print_missing, with_client, with_clients
from intent.cli.exits import UsageError
from intent.cli.options import AsJson, CallOptions, ContextName, calls_context

if TYPE_CHECKING:
    from intent_contracts.intent.v1 import ParkedEvent

    from intent.client import IntentClient
    from intent.contracts import Registry

__all__ = ["register"]

T = TypeVar("T")

HELP = """Show and mend parked events: those that a consumer failed on too often.

A failed event is parked with its stream: the later events of the same aggregate wait behind it,
in order, and all other aggregates go on. Mend what it failed on, then replay it; or drop it.

The caller needs the role consumer, service or operator and sees its tenant's consumers; with the role
consumer-all, which everybody has in development, all.

\b
  intent parked list
  intent parked show shipping.known-orders Order/o-1
  intent parked replay shipping.known-orders Order/o-1
  intent parked replay shipping.known-orders --all
  intent parked drop shipping.known-orders 1207 --reason "a test order, ticket 88"
"""
_LIST = """List parked streams: what failed, how often and why, and how many events wait behind it."""
_SHOW = """Show the parked events of one stream, decoded: the one that failed, and those that wait."""
_REPLAY = """Deliver a parked stream again, in order; afterwards it goes on as any other.

An event that fails again is parked again, with its stream.
"""
_DROP = """Give up one parked event. Who did it, and why, is recorded.

When it is the one that failed, the events that wait behind it are delivered. The position is what
`intent parked list` and `show` tell.
"""

_app = typer.Typer(name="parked", help=HELP, no_args_is_help=True, rich_markup_mode="rich")

Consumer = Annotated[str, typer.Argument(help="The consumer, e.g. shipping.known-orders.")]


class _Stream(NamedTuple):
    """Names a parked stream."""

    context: str
    consumer: str
    all_tenants: bool
    tenant: str
    aggregate_type: str
    aggregate_id: str

    def __str__(self) -> str:
        return f"{self.aggregate_type}/{self.aggregate_id}"


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.add_typer(_app)


@_app.command("list", help=_LIST)
@calls_context(needs_tenant=False, timeout=10.0)
def list_(
    caller: CallOptions,
    consumer: Annotated[str, typer.Argument(help="Only of this consumer.")] = "",
    as_json: AsJson = False,
    context: ContextName = "",
) -> None:
    """Lists parked streams."""
    from intent.contracts import Registry

    registry = Registry.load()
    found = _parked(caller, context, registry, lambda client: _of(client, consumer))
    _print_json(found, registry) if as_json else _print_list(found)


@_app.command("show", help=_SHOW)
@calls_context(needs_tenant=False, timeout=10.0)
def show(
    caller: CallOptions,
    consumer: Consumer,
    stream: Annotated[str, typer.Argument(help="The aggregate, e.g. Order/o-1.")],
    as_json: AsJson = False,
    context: ContextName = "",
) -> None:
    """Shows the parked events of one stream."""
    from intent.contracts import Registry

    registry = Registry.load()
    found = _parked(caller, context, registry, lambda client: _of(client, consumer, stream))
    if as_json:
        _print_json(found, registry)
        return
    if not found:
        raise UsageError(f"{consumer} has not parked {stream}; `intent parked list` shows what is parked")
    for of, events in found.items():
        _print_stream(of, events, registry)


@_app.command("replay", help=_REPLAY)
@calls_context(needs_tenant=False)
def replay(
    caller: CallOptions,
    consumer: Consumer,
    stream: Annotated[str, typer.Argument(help="The aggregate, e.g. Order/o-1.")] = "",
    every: Annotated[bool, typer.Option("--all", help="Every stream that the consumer has parked.")] = False,
    context: ContextName = "",
) -> None:
    """Delivers a parked stream again."""
    from intent.contracts import Registry

    if bool(stream) == every:
        raise UsageError("name one stream, like Order/o-1, or give --all")
    registry = Registry.load()
    found = _parked(caller, context, registry, lambda client: _of(client, consumer, stream))
    streams = list(found) if every else [_only(found, f"{consumer} has not parked {stream}")]
    for of in streams:
        events = _on(caller, of, registry, lambda client, of=of: _replay(client, of))  # type: ignore[misc]
        typer.echo(f"{of} of tenant {of.tenant}: {events} event(s) will be delivered to {consumer} again")
    if not streams:
        typer.echo(f"{consumer} has parked nothing")


@_app.command("drop", help=_DROP)
@calls_context(needs_tenant=False)
def drop(
    caller: CallOptions,
    consumer: Consumer,
    position: Annotated[int, typer.Argument(min=1, help="The position of the event.")],
    reason: Annotated[str, typer.Option("--reason", help="Why; it is recorded.")],
    context: ContextName = "",
) -> None:
    """Gives up one parked event."""
    from intent.contracts import Registry

    registry = Registry.load()

    async def at(client: IntentClient) -> Iterable[ParkedEvent]:
        return (await client.consumers.parked(consumer, position=position)).parked

    found = _parked(caller, context, registry, at)
    of = _only(found, f"{consumer} has not parked the event at position {position}")

    async def work(client: IntentClient) -> None:
        acting = client if of.all_tenants else client.acting(tenant=of.tenant)
        await acting.consumers.drop(consumer, position, reason, all_tenants=of.all_tenants)

    _on(caller, of, registry, work)
    rest = "what waits behind it goes on" if found[of][0].attempts else "what failed before it still waits"
    typer.echo(f"{consumer} passes over position {position} of {of}; {rest}")


async def _of(client: IntentClient, consumer: str, stream: str = "") -> Iterable[ParkedEvent]:
    kind, _, id_ = stream.partition("/")
    if stream and not (kind and id_):
        raise UsageError(f"{stream} names no stream; it reads like Order/o-1")
    response = await client.consumers.parked(consumer, aggregate_type=kind, aggregate_id=id_)
    if response.more:
        typer.echo("there are more than 1,000 parked events; these are the first", err=True)
    return response.parked


def _parked(
    caller: CallOptions,
    context: str,
    registry: Registry,
    work: Callable[[IntentClient], Awaitable[Iterable[ParkedEvent]]],
) -> dict[_Stream, list[ParkedEvent]]:
    """Returns parked events by stream, of every context that runs or of one."""
    answers, missing = with_clients(caller, context, registry, work)
    found: dict[_Stream, list[ParkedEvent]] = {}
    for name, events in answers.items():
        for parked in events:
            event = parked.event
            stream = (event.tenant_id, event.aggregate_type, event.aggregate_id)
            if not caller.tenant or caller.tenant == event.tenant_id:
                of = _Stream(name, parked.consumer, parked.all_tenants, *stream)
                found.setdefault(of, []).append(parked)
    print_missing(missing)
    return found


def _only(found: Mapping[_Stream, object], none: str) -> _Stream:
    if not found:
        raise UsageError(f"{none}; `intent parked list` shows what is parked")
    if len(found) > 1:
        of = ", ".join(sorted(f"tenant {stream.tenant} in {stream.context}" for stream in found))
        raise UsageError(f"there are several: of {of}; say which with --tenant and --context")
    return next(iter(found))


def _on(
    caller: CallOptions, of: _Stream, registry: Registry, work: Callable[[IntentClient], Awaitable[T]]
) -> T:
    return with_client(caller, of.context, registry, work)


async def _replay(client: IntentClient, of: _Stream) -> int:
    acting = client if of.all_tenants else client.acting(tenant=of.tenant)
    return await acting.consumers.replay(
        of.consumer, of.aggregate_type, of.aggregate_id, tenant=of.tenant, all_tenants=of.all_tenants
    )


def _print_json(found: Mapping[_Stream, list[ParkedEvent]], registry: Registry) -> None:
    from intent.cli.messages import event_to_dict, to_dict

    shown = [
        {**to_dict(parked), "event": event_to_dict(parked.event, registry)}
        for events in found.values()
        for parked in events
    ]
    typer.echo(json.dumps(shown, indent=2, ensure_ascii=False))


def _print_list(found: Mapping[_Stream, list[ParkedEvent]]) -> None:
    from intent.cli.formatting import clock
    from intent.cli.tables import print_table

    if not found:
        typer.echo("nothing is parked")
        return
    headings = ("Consumer", "Tenant", "Stream", "Position", "Event", "Tried", "Behind", "Since", "Error")

    def row(stream: _Stream, first: ParkedEvent, behind: int) -> Sequence[str]:
        return (
            stream.consumer,
            stream.tenant,
            str(stream),
            str(first.event.position),
            first.event.type.rpartition(".")[2],
            str(first.attempts),
            str(behind),
            clock(first.parked_at.ToDatetime()),
            first.error,
        )

    rows = (row(stream, events[0], len(events) - 1) for stream, events in found.items())
    print_table(headings, rows, numbers=("Position", "Tried", "Behind"))


def _print_stream(of: _Stream, events: list[ParkedEvent], registry: Registry) -> None:
    from rich.console import Console
    from rich.markup import escape

    from intent.cli.formatting import clock
    from intent.cli.messages import event_fields

    console = Console(highlight=False, soft_wrap=True)
    console.print(f"[bold]{escape(str(of))}[/bold] of tenant {escape(of.tenant)}, {escape(of.consumer)}")
    for parked in events:
        event = parked.event
        fields = json.dumps(event_fields(event, registry), ensure_ascii=False)
        console.print(
            f"[dim]{event.position:>6}  {clock(event.recorded_at.ToDatetime())}[/dim]  "
            f"v{event.version}  [bold]{event.type.rpartition('.')[2]}[/bold]  {escape(fields)}"
        )
        if parked.attempts:
            console.print(f"        [red]failed {parked.attempts}x: {escape(parked.error)}[/red]")
        else:
            console.print("        [dim]waits[/dim]")
