"""``intent parked``: show, replay and drop the events that consumers failed on."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from intent.cli.calls import print_missing, require_all, with_client, with_clients
from intent.cli.connection import AsJson, CallOptions, ContextName, Reason, calls_context
from intent.cli.exits import Exit, IncompleteError, UsageError
from intent.cli.output import echo, echo_json, markup, open_console

if TYPE_CHECKING:
    from intent_contracts.intent.v1 import ListParkedResponse, ParkedEvent

    from intent.client import IntentClient
    from intent.contracts import Registry

__all__ = ["ParkedStream", "print_parked", "print_parked_json", "register"]

HELP = """Show, replay and drop parked events: those that a consumer failed on too often.

A failed event is parked with its stream: the later events of the same aggregate wait behind it,
in order, and all other aggregates continue. Fix what it failed on, then replay it; or drop it.

The caller needs the role consumer, service or operator and sees its tenant's consumers; with the role
consumer-all, which everybody has in development, it sees all.

\b
  intent parked list
  intent parked list shipping.known-orders --all
  intent parked show shipping.known-orders Order/o-1
  intent parked replay shipping.known-orders Order/o-1
  intent parked replay shipping.known-orders --all
  intent parked drop shipping.known-orders 1207 --reason "a test order, ticket 88"
"""
_LIST = """List why streams are parked: each cause once, with its number of streams and of waiting events.

With --all each stream, with the event that failed, how often and why.

Of every context that runs, or of one with --context. Exit code 6 says that a context gave no answer, or
has more.
"""
_SHOW = """Show the parked events of one stream, decoded: the one that failed, and those that wait."""
_REPLAY = """Deliver a parked stream again, in order; afterwards it continues as any other.

Commands that were rejected get new ids, so that they are decided again. An event that fails again is
parked again, with its stream.
"""
_DROP = """Give up one parked event. Who dropped it, and why, is recorded.

If it is the one that failed, the events that wait behind it are delivered. `intent parked list` and
`intent parked show` print its position.
"""

_app = typer.Typer(name="parked", help=HELP, no_args_is_help=True, rich_markup_mode="rich")

Consumer = Annotated[str, typer.Argument(help="The consumer, e.g. shipping.known-orders.")]


class ParkedStream(NamedTuple):
    """A parked stream of one consumer."""

    context: str
    consumer: str
    all_tenants: bool
    tenant: str
    aggregate_type: str
    aggregate_id: str

    def __str__(self) -> str:
        return f"{self.aggregate_type}/{self.aggregate_id}"

    def client_for(self, client: IntentClient) -> IntentClient:
        """Return the client that acts for the consumer's tenant, or for all tenants if the consumer does."""
        return client if self.all_tenants else client.acting(tenant=self.tenant)


@dataclass(frozen=True, slots=True)
class _Parked:
    """What was found.

    Attributes:
        streams: The parked events of each stream.
        missing: The contexts without an answer, and why.
        more: The contexts that have more parked events than they returned, as those of a version without
            pages do.
    """

    streams: Mapping[ParkedStream, list[ParkedEvent]]
    missing: Mapping[str, str]
    more: Sequence[str]

    @property
    def complete(self) -> bool:
        """Whether every context answered with all that it has."""
        return not self.missing and not self.more

    def require_all(self) -> None:
        """End the command as incomplete, with the reasons, if this is not all that is parked."""
        for context in self.more:
            echo(f"{context} has more parked events than these, which are the first", err=True)
        require_all(self.missing)
        if self.more:
            raise typer.Exit(Exit.INCOMPLETE)

    def nothing(self, problem: str) -> Exception:
        """Return the error that nothing was found; print which contexts could have it."""
        if self.complete:
            return UsageError(f"{problem}; `intent parked list` shows what is parked")
        print_missing(self.missing)
        return IncompleteError(f"{problem}, as far as is known")

    def only(self, problem: str) -> ParkedStream:
        """Return the only stream.

        Args:
            problem: What to report if there is none.

        Raises:
            UsageError: There is none, or there are several.
            IncompleteError: There is none, but not every context answered.
        """
        if not self.streams:
            raise self.nothing(problem)
        if len(self.streams) > 1:
            places = ", ".join(sorted(f"tenant {each.tenant} in {each.context}" for each in self.streams))
            raise UsageError(f"there are several: {places}; choose one with --tenant and --context")
        print_missing(self.missing)
        return next(iter(self.streams))


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(_app)


@_app.command("list", help=_LIST)
@calls_context(needs_tenant=False, timeout=10.0)
def list_(
    caller: CallOptions,
    consumer: Annotated[str, typer.Argument(help="Only of this consumer.")] = "",
    every: Annotated[bool, typer.Option("--all", help="Each stream, not only each cause.")] = False,
    as_json: AsJson = False,
    context: ContextName = "",
) -> None:
    """List parked streams."""
    from intent.contracts import Registry

    registry = Registry.load()
    parked = _fetch(caller, context, registry, partial(_fetch_stream, consumer=consumer))
    print_parked_json(parked.streams, registry) if as_json else _print_list(parked, every)
    parked.require_all()


@_app.command("show", help=_SHOW)
@calls_context(needs_tenant=False, timeout=10.0)
def show(
    caller: CallOptions,
    consumer: Consumer,
    stream: Annotated[str, typer.Argument(help="The aggregate, e.g. Order/o-1.")],
    as_json: AsJson = False,
    context: ContextName = "",
) -> None:
    """Show the parked events of one stream."""
    from intent.contracts import Registry

    registry = Registry.load()
    parked = _fetch(caller, context, registry, partial(_fetch_stream, consumer=consumer, stream=stream))
    if as_json:
        print_parked_json(parked.streams, registry)
    elif parked.streams:
        print_parked(parked.streams, registry)
    else:
        raise parked.nothing(f"{consumer} has not parked {stream}")
    parked.require_all()


@_app.command("replay", help=_REPLAY)
@calls_context(needs_tenant=False)
def replay(
    caller: CallOptions,
    consumer: Consumer,
    stream: Annotated[str, typer.Argument(help="The aggregate, e.g. Order/o-1.")] = "",
    every: Annotated[bool, typer.Option("--all", help="Every stream that the consumer has parked.")] = False,
    reason: Reason = "",
    context: ContextName = "",
) -> None:
    """Deliver a parked stream again."""
    from intent.contracts import Registry

    if bool(stream) == every:
        raise UsageError("name one stream, like Order/o-1, or give --all")
    registry = Registry.load()
    parked = _fetch(caller, context, registry, partial(_fetch_stream, consumer=consumer, stream=stream))
    streams = list(parked.streams) if every else [parked.only(f"{consumer} has not parked {stream}")]
    for each in streams:
        events = with_client(caller, each.context, registry, partial(_replay, stream=each, reason=reason))
        echo(f"{each} of tenant {each.tenant}: {events} event(s) will be delivered to {consumer} again")
    if not every:
        return
    if not streams and parked.complete:
        echo(f"{consumer} has parked nothing")
    parked.require_all()


@_app.command("drop", help=_DROP)
@calls_context(needs_tenant=False)
def drop(
    caller: CallOptions,
    consumer: Consumer,
    position: Annotated[int, typer.Argument(min=1, help="The position of the event.")],
    reason: Annotated[str, typer.Option("--reason", help="Why; it is recorded.")],
    context: ContextName = "",
) -> None:
    """Give up one parked event."""
    from intent.contracts import Registry

    async def fetch(client: IntentClient) -> ListParkedResponse:
        return await client.consumers.parked(consumer, position=position)

    registry = Registry.load()
    parked = _fetch(caller, context, registry, fetch)
    stream = parked.only(f"{consumer} has not parked the event at position {position}")

    async def work(client: IntentClient) -> None:
        consumers = stream.client_for(client).consumers
        await consumers.drop(consumer, position, reason, all_tenants=stream.all_tenants)

    with_client(caller, stream.context, registry, work)
    failed = parked.streams[stream][0].attempts
    rest = "the events behind it continue" if failed else "the event that failed still waits"
    echo(f"{consumer} skips position {position} of {stream}; {rest}")


async def _replay(client: IntentClient, stream: ParkedStream, reason: str) -> int:
    return await stream.client_for(client).consumers.replay(
        stream.consumer,
        stream.aggregate_type,
        stream.aggregate_id,
        tenant=stream.tenant,
        all_tenants=stream.all_tenants,
        reason=reason,
    )


async def _fetch_stream(client: IntentClient, consumer: str, stream: str = "") -> ListParkedResponse:
    """Return all of a consumer's parked events, of one stream if it is given, page by page."""
    kind, _, id_ = stream.partition("/")
    if stream and not (kind and id_):
        raise UsageError(f"{stream} names no stream; write it like Order/o-1")
    answer = await client.consumers.parked(consumer, aggregate_type=kind, aggregate_id=id_)
    while token := answer.next_page_token:
        page = await client.consumers.parked(
            consumer, aggregate_type=kind, aggregate_id=id_, page_token=token
        )
        answer.parked.extend(page.parked)
        answer.more, answer.next_page_token = page.more, page.next_page_token
    return answer


def _fetch(
    caller: CallOptions,
    context: str,
    registry: Registry,
    work: Callable[[IntentClient], Awaitable[ListParkedResponse]],
) -> _Parked:
    """Return parked events by stream, of every context that runs or of one."""
    answers, missing = with_clients(caller, context, registry, work)
    streams: dict[ParkedStream, list[ParkedEvent]] = {}
    for name, answer in answers.items():
        for parked in answer.parked:
            event = parked.event
            if caller.tenant in {"", event.tenant_id}:
                key = (event.tenant_id, event.aggregate_type, event.aggregate_id)
                stream = ParkedStream(name, parked.consumer, parked.all_tenants, *key)
                streams.setdefault(stream, []).append(parked)
    return _Parked(streams, missing, [name for name, answer in answers.items() if answer.more])


def print_parked_json(streams: Mapping[ParkedStream, list[ParkedEvent]], registry: Registry) -> None:
    """Print parked events, for a program."""
    from intent.cli.plain import event_to_dict, to_dict

    values = [
        {**to_dict(parked), "event": event_to_dict(parked.event, registry)}
        for events in streams.values()
        for parked in events
    ]
    echo_json(values)


def _print_list(parked: _Parked, every: bool) -> None:
    from intent.cli.tables import print_causes, print_streams

    if parked.streams and every:
        print_streams(parked.streams)
    elif parked.streams:
        print_causes(parked.streams)
    elif parked.complete:
        echo("nothing is parked")


def print_parked(streams: Mapping[ParkedStream, list[ParkedEvent]], registry: Registry) -> None:
    """Print parked streams, each with its events, for a person."""
    for stream, events in streams.items():
        _print_stream(stream, events, registry)


def _print_stream(stream: ParkedStream, events: list[ParkedEvent], registry: Registry) -> None:

    from intent.cli.formatting import format_time
    from intent.cli.plain import event_fields

    console = open_console(highlight=False, soft_wrap=True)
    console.print(
        f"[bold]{markup(stream)}[/bold] of tenant {markup(stream.tenant)}, {markup(stream.consumer)}"
    )
    for parked in events:
        event = parked.event
        fields = json.dumps(event_fields(event, registry), ensure_ascii=False)
        console.print(
            f"[dim]{event.position:>6}  {format_time(event.recorded_at.ToDatetime())}[/dim]  "
            f"v{event.version}  [bold]{markup(event.type.rpartition('.')[2])}[/bold]  {markup(fields)}"
        )
        if parked.attempts:
            console.print(f"        [red]failed {parked.attempts}x: {markup(parked.error)}[/red]")
        else:
            console.print("        [dim]waits[/dim]")
