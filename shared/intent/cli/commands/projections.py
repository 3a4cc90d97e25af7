"""``intent projections``: show, rebuild and unblock the projections of the contexts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from intent.cli.calls import print_missing, require_all, with_client, with_clients
from intent.cli.connection import AsJson, CallOptions, ContextName, Reason, calls_context
from intent.cli.exits import IncompleteError, UsageError
from intent.cli.output import echo, echo_json
from intent.escaping import escaped

if TYPE_CHECKING:
    from intent_contracts.intent.v1 import ListProjectionsResponse, ProjectionStatus
    from rich.text import Text

    from intent.client import IntentClient
    from intent.contracts import Registry

__all__ = ["register"]

HELP = """Show, rebuild and unblock projections, which keep the read models up to date.

The caller needs the role operator, which everybody has in development.

\b
  intent projections status
  intent projections rebuild OrderViews
  intent projections skip OrderViews 1207 --reason "a test order, ticket 88"
"""
_STATUS = """Show how far each projection is, which event it fails on and which it skipped.

Of every context that runs, or of one with --context. With --json, an object by context. Exit code 6
says that a context gave no answer.
"""
_REBUILD = """Rebuild a projection from the log, beside the old rows, and switch when it is done.

Queries read the old rows until the switch. Ctrl-C ends only the display; the rebuild continues. When
the token of a login expires meanwhile, it is watched with another one.
"""
_SKIP = """Make a projection skip one event that it cannot handle.

`intent projections status` shows the position that a projection fails on; any other needs --force.
The event is left out by the rows that are read and by every later rebuild. The reason is recorded.
"""

_app = typer.Typer(name="projections", help=HELP, no_args_is_help=True, rich_markup_mode="rich")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(_app)


@_app.command("status", help=_STATUS)
@calls_context(needs_tenant=False, without={"tenant"})
def status(
    caller: CallOptions,
    as_json: AsJson = False,
    context: ContextName = "",
) -> None:
    """Show how far each projection is."""
    from intent.cli.plain import to_dict
    from intent.contracts import Registry

    async def work(client: IntentClient) -> ListProjectionsResponse:
        return await client.projections.list()

    answers, missing = with_clients(caller, context, Registry.load(), work)
    if as_json:
        echo_json({name: to_dict(answer) for name, answer in answers.items()})
    else:
        for name, answer in answers.items():
            _print(name, answer)
    require_all(missing)


@_app.command("rebuild", help=_REBUILD)
@calls_context(needs_tenant=False, without={"tenant", "timeout"})
def rebuild(
    caller: CallOptions,
    name: Annotated[str, typer.Argument(help="The projection, e.g. OrderViews.")],
    reason: Reason = "",
    context: ContextName = "",
) -> None:
    """Rebuild a projection, with a progress bar."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from intent.contracts import Registry

    name_column, unit = TextColumn("{task.description}"), TextColumn("events")
    bar = Progress(name_column, BarColumn(), MofNCompleteColumn(), unit, TimeElapsedColumn())

    async def work(client: IntentClient) -> int:
        task, head = bar.add_task(f"Rebuild {name}", total=None), 0
        async for progress in client.projections.rebuild(name, reason=reason):
            head = progress.head
            bar.update(task, total=progress.head, completed=progress.position)
        return head

    registry = Registry.load()
    own = context or _context_of(caller, name, registry)
    with bar:
        head = with_client(caller, own, registry, work)
    echo(f"{name} is rebuilt up to position {head}")


@_app.command("skip", help=_SKIP)
@calls_context(needs_tenant=False, without={"tenant"})
def skip(
    caller: CallOptions,
    name: Annotated[str, typer.Argument(help="The projection, e.g. OrderViews.")],
    position: Annotated[int, typer.Argument(min=1, help="The position of the event.")],
    reason: Annotated[str, typer.Option("--reason", help="Why; it is recorded.")],
    force: Annotated[
        bool, typer.Option("--force", help="Skip an event that the projection does not fail on.")
    ] = False,
    context: ContextName = "",
) -> None:
    """Make a projection skip one event."""
    from intent.contracts import Registry

    async def work(client: IntentClient) -> ProjectionStatus:
        return await client.projections.skip(name, position, reason, force=force)

    registry = Registry.load()
    projection = with_client(caller, context or _context_of(caller, name, registry), registry, work)
    echo(f"{name} skips position {position}; it is at position {projection.position}")


def _context_of(caller: CallOptions, projection: str, registry: Registry) -> str:
    """Return the context that has a projection; empty if only one context runs.

    Raises:
        UsageError: Several contexts have it.
        NotFound: No context has it.
        IncompleteError: No context that answers has it.
    """
    from intent.errors import NotFound

    if len(caller.places("")) == 1:
        return ""

    async def work(client: IntentClient) -> list[str]:
        return [status.name for status in (await client.projections.list()).projections]

    projections, missing = with_clients(caller, "", registry, work)
    owners = [name for name, names in projections.items() if projection in names]
    if len(owners) == 1:
        return owners[0]
    if owners:
        raise UsageError(f"{projection} could be of {' or '.join(owners)}; choose one with --context")
    known = ", ".join(sorted(name for names in projections.values() for name in names))
    message = f"there is no projection {projection!r}; there are: {known}"
    if missing:
        print_missing(missing)
        raise IncompleteError(message)
    raise NotFound("PROJECTION_NOT_FOUND", message)


def _print(context: str, answer: ListProjectionsResponse) -> None:
    from intent.cli.tables import print_table

    print_table(
        ("Projection", "Position", "Lag", "State"),
        ((each.name, str(each.position), str(each.lag), _state(each)) for each in answer.projections),
        title=f"{context}; the log is at position {answer.head}",
        numbers=("Position", "Lag"),
    )
    for projection in answer.projections:
        for skipped in projection.skipped:
            echo(f"{projection.name} skipped position {skipped.position}: {skipped.reason} ({skipped.actor})")


def _state(projection: ProjectionStatus) -> Text:
    from rich.text import Text

    parts = []
    if projection.rebuilding:
        parts.append(Text(f"rebuilding, at position {projection.rebuild_position}", "yellow"))
    if projection.failing_position:
        failing = (
            f"fails on position {projection.failing_position} (tried {projection.attempts}x): "
            f"{projection.last_error}"
        )
        parts.append(Text(escaped(failing), "red"))
    elif projection.last_error:
        parts.append(Text(escaped(projection.last_error), "red"))
    return Text("; ").join(parts or [Text("healthy", "green")])
