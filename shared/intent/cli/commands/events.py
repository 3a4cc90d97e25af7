"""``intent events``: read and follow the logs of the contexts."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from intent.cli.calls import answered_by, print_missing, require_results
from intent.cli.connection import AsJson, CallOptions, ContextName, calls_context
from intent.cli.exits import UsageError
from intent.cli.output import echo, markup, open_console

if TYPE_CHECKING:
    from intent_contracts.intent.v1 import RecordedEvent

    from intent.cli.merged_logs import LogReader
    from intent.client import IntentClient
    from intent.contracts import Registry
    from intent.errors import CommandError

__all__ = ["EventPrinter", "register"]

HELP = """Read the events of a tenant, decoded, in the order in which they were recorded.

Of every context that runs, or of one with --context.

\b
  intent events                                  what happened until now
  intent events --follow                         and continue with what happens
  intent events --follow --new                   only what happens from now on
  intent events --stream Order/o-1               one aggregate
  intent events --type OrderPlaced --json        one kind of event, a JSON object a line
  intent events --correlation checkout-17 -t acme
  intent events --context orders --after 1000 --limit 50

Each line has position, time, stream and version, event and fields; before them the context, if
there are several. A context that does not answer within 5 s, or later is silent for 30 s, is named; the
others are read, and the exit code is 6.
"""
_ANSWER_TIMEOUT: Final = 5.0
_SILENCE: Final = 30.0


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("events", help=HELP)(events)


@calls_context(without={"timeout"})
def events(
    caller: CallOptions,
    follow: Annotated[bool, typer.Option("--follow", "-F", help="Continue with new events.")] = False,
    new: Annotated[bool, typer.Option("--new", help="Only events from now on; implies --follow.")] = False,
    after: Annotated[int, typer.Option("--after", min=0, help="Position after which to start.")] = 0,
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
) -> None:
    """Read the events of a tenant."""
    import asyncio

    from intent.cli.messages import find_type
    from intent.contracts import Registry

    registry = Registry.load()
    contracts = [find_type(name, registry.events, "event") for name in types or ()]
    context = context or next((contract.context for contract in contracts), "")
    kind, id_ = _parse_stream(stream, {event.aggregate for event in registry.events.values()})
    places = caller.places(context)
    if after and len(places) > 1:
        raise UsageError(
            f"--after needs --context: each context has its own positions; there are {', '.join(places)}"
        )
    filters = {
        "types": [contract.type for contract in contracts],
        "aggregate_type": kind,
        "aggregate_id": id_,
        "correlation_id": correlation,
    }
    printer = EventPrinter(registry, as_json, len(places) > 1)
    reading = _Reading(printer, filters, follow or new, new, after, limit)
    with contextlib.suppress(_LimitReached):
        asyncio.run(reading.run(caller, places, registry))
    reading.require_all()


class _LimitReached(Exception):
    """As many events were shown as were asked for."""


@dataclass
class _Reading:
    """One reading of the logs: the events that are there, then new ones.

    Attributes:
        printer: What prints the events.
        filters: The filters, as `IntentClient.events` takes them.
        follow: Whether to continue with new events.
        new: Whether to read only new events.
        after: The position after which to start.
        limit: The number of events after which to end; 0: none.
    """

    printer: EventPrinter
    filters: Mapping[str, Any]
    follow: bool
    new: bool
    after: int
    limit: int
    _shown: int = 0
    _answering: set[str] = field(default_factory=set)
    _errors: dict[str, CommandError] = field(default_factory=dict)

    async def run(self, caller: CallOptions, places: Mapping[str, str], registry: Registry) -> None:
        """Print the events of the contexts in these places.

        Raises:
            _LimitReached: So many events were printed as the limit says.
        """
        from intent.cli.merged_logs import follow_merged, read_merged

        await caller.prepare()
        async with AsyncExitStack() as stack:
            clients = {name: caller.client(address, registry) for name, address in places.items()}
            for client in clients.values():
                await stack.enter_async_context(client)
            reached: dict[str, int] = {}
            if not self.new:
                logs = {name: self._log(name, client, places[name]) for name, client in clients.items()}
                async for name, event in read_merged(logs, self.after):
                    reached[name] = event.position
                    self._show(event)
            if self.follow:
                if not self.new and not self._answering:
                    self.require_all()
                print_missing({name: str(error) for name, error in self._errors.items()})
                self._errors.clear()
                async for event in follow_merged(
                    {name: self._log(name, client, places[name]) for name, client in clients.items()}, reached
                ):
                    self._show(event)

    def require_all(self) -> None:
        """End the command as one without an answer, or as incomplete, if a log was not read to its end."""
        require_results(self._answering, self._errors)

    def _log(self, name: str, client: IntentClient, address: str) -> LogReader:
        def log(after: int, *, follow: bool) -> AsyncIterator[RecordedEvent]:
            events = client.events(after=after, follow=follow, from_now=self.new, **self.filters)
            return events if follow else self._until_silent(name, client, address, events)

        return log

    async def _until_silent(
        self, name: str, client: IntentClient, address: str, events: AsyncIterator[RecordedEvent]
    ) -> AsyncIterator[RecordedEvent]:
        """Yield a log's events until its end; note the error if the context does not answer or refuses."""
        from intent.errors import CommandError

        first = await answered_by(address, client.describe(timeout=_ANSWER_TIMEOUT), _ANSWER_TIMEOUT)
        if isinstance(first, CommandError):
            self._errors[name] = first
            return
        while True:
            event = await answered_by(address, _next(events), _SILENCE)
            if isinstance(event, CommandError):
                self._errors[name] = event
                return
            self._answering.add(name)
            if event is None:
                return
            yield event

    def _show(self, event: RecordedEvent) -> None:
        self.printer.show(event)
        self._shown += 1
        if self._shown == self.limit:
            raise _LimitReached


async def _next(events: AsyncIterator[RecordedEvent]) -> RecordedEvent | None:
    """Return the next event, None at the end.

    Raises:
        TimeoutError: Nothing came for a long time.
    """
    import asyncio

    async with asyncio.timeout(_SILENCE):
        return await anext(events, None)


def _parse_stream(text: str, known: Collection[str]) -> tuple[str, str]:
    """Return the type and the id of the aggregate that ``--stream`` names; the id may be empty.

    Raises:
        UsageError: The text has no type, or one that no contract knows.
    """
    kind, _, id_ = text.partition("/")
    if text and not kind:
        raise UsageError(f"--stream {text} names no aggregate; write it like Order/o-1")
    if kind and kind not in known:
        kinds = ", ".join(sorted(known))
        fault = f"no aggregate is called {kind}"
        raise UsageError(f"--stream {text}: {fault}; write it like Order/o-1, of: {kinds}")
    return kind, id_


class EventPrinter:
    """Prints events, for a person or for a program."""

    def __init__(self, registry: Registry, as_json: bool, several: bool) -> None:

        self._registry = registry
        self._as_json = as_json
        self._several = several
        self._console = open_console(highlight=False, soft_wrap=True)

    def show(self, event: RecordedEvent) -> None:
        """Print one event."""
        from intent.cli.formatting import format_time
        from intent.cli.plain import event_fields, event_to_dict

        if self._as_json:
            echo(json.dumps(event_to_dict(event, self._registry), ensure_ascii=False))
            return

        when = format_time(event.recorded_at.ToDatetime())
        fields = json.dumps(event_fields(event, self._registry), ensure_ascii=False)
        stream = f"{event.aggregate_type}/{event.aggregate_id}"
        context = f"{event.context:<10} " if self._several else ""
        self._console.print(
            f"[dim]{context}{event.position:>6}  {when}[/dim]  {markup(stream)} [dim]v{event.version}[/dim]  "
            f"[bold green]{markup(event.type.rpartition('.')[2])}[/bold green]  {markup(fields)}"
        )
