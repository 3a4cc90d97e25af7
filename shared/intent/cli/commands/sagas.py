"""``intent sagas``: show, resume, cancel and terminate sagas."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Final, TypeVar

import typer

from intent.cli.calls import require_all, with_client, with_clients
from intent.cli.connection import AsJson, CallOptions, ContextName, calls_context
from intent.cli.exits import Exit, UsageError
from intent.cli.output import echo, echo_json

if TYPE_CHECKING:
    from intent_contracts.intent.v1 import GetSagaResponse, SagaInfo, SagaStatus

    from intent.client import IntentClient

__all__ = ["register"]

T = TypeVar("T")

HELP = """Show, resume, cancel and terminate sagas, which span contexts and undo themselves if they fail.

Reading needs the role operator or service, all else the role operator; in development everybody has
both.

\b
  intent sagas list --status stuck
  intent sagas show orders.v1.FulfilOrder/demo/o-1
  intent sagas resume orders.v1.FulfilOrder/demo/o-1
  intent sagas cancel orders.v1.FulfilOrder/demo/o-1 --reason "the customer called"
  intent sagas terminate orders.v1.FulfilOrder/demo/o-1 --reason "settled by hand"
"""
_LIST = """List the sagas of a tenant with the step that each is on, the newest first.

Of every context that runs, or of one with --context. Without a filter it lists those that are not
over: unstarted, running, waiting, delayed, compensating, stuck, failing.

\b
  intent sagas list                               those that are not over
  intent sagas list --all
  intent sagas list --status stuck --status delayed
  intent sagas list --type FulfilOrder --limit 500
  intent sagas list --correlation checkout-17     those of one correlation id

The list lags by some moments; `intent sagas show` asks the saga itself. Exit code 6 says that there are
more, or that a context gave no answer.
"""
_SHOW = """Show one saga as a tree: its steps with times and reasons, each above its compensation.

\b
  intent sagas show orders.v1.FulfilOrder/demo/o-1
"""
_RESUME = """Resume a stuck saga: try its parked steps again, or skip them.

A step is parked when what it needs has been unavailable for long, when the handler of its command raises,
or when a compensation is rejected; `intent sagas show` shows the reason. First fix that. A skipped
compensation is left undone; another skipped step counts as rejected, and the saga's code decides. Who
resumed it, and why, is recorded with the step.

\b
  intent sagas resume orders.v1.FulfilOrder/demo/o-1
  intent sagas resume orders.v1.FulfilOrder/demo/o-1 --skip --reason "paid back by hand, ticket 88"
"""
_CANCEL = """End a saga at its next step and make it undo what it did.

\b
  intent sagas cancel orders.v1.FulfilOrder/demo/o-1 --reason "the customer called, ticket 88"
"""
_TERMINATE = """End a saga at once, undoing nothing. It never begins again, whichever events come.

Prefer `intent sagas cancel`, which undoes what the saga did. Who terminated it, and why, is recorded.

\b
  intent sagas terminate orders.v1.FulfilOrder/demo/o-1 --reason "settled by hand, ticket 88"
"""
_OPEN: Final = ("unstarted", "running", "waiting", "delayed", "compensating", "stuck", "failing")
_DEFAULT_LIMIT: Final = 50

_app = typer.Typer(name="sagas", help=HELP, no_args_is_help=True, rich_markup_mode="rich")

Id = Annotated[str, typer.Argument(metavar="SAGA", help="Its id, as the list shows it.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(_app)


@_app.command("list", help=_LIST)
@calls_context(timeout=10.0)
def list_(
    caller: CallOptions,
    status: Annotated[
        list[str] | None,
        typer.Option("--status", "-s", help="Only those with this status; may be given several times."),
    ] = None,
    every: Annotated[bool, typer.Option("--all", "-a", help="Also those that are over.")] = False,
    type_: Annotated[str, typer.Option("--type", help="Only of this type, e.g. FulfilOrder.")] = "",
    correlation: Annotated[str, typer.Option("--correlation", help="Only this correlation id.")] = "",
    limit: Annotated[
        int | None,
        typer.Option(
            "--limit",
            "-n",
            min=1,
            help=f"At most so many of each context. Default: {_DEFAULT_LIMIT}; with --all no limit.",
        ),
    ] = None,
    as_json: AsJson = False,
    context: ContextName = "",
) -> None:
    """List sagas."""
    from intent.cli.messages import find_type
    from intent.cli.plain import to_dict
    from intent.contracts import Registry

    registry = Registry.load()
    contract = find_type(type_, registry.sagas, "saga") if type_ else None
    wanted = _statuses(status or [], every or bool(correlation))
    kind = contract.type if contract else ""
    most = limit or (sys.maxsize if every else _DEFAULT_LIMIT)

    async def work(client: IntentClient) -> tuple[list[SagaInfo], bool]:
        return await _newest(client, kind, wanted, correlation, most)

    own = context or (contract.context if contract else "")
    answers, missing = with_clients(caller, own, registry, work)
    sagas = _newest_first(saga for found, _ in answers.values() for saga in found)
    if as_json:
        echo_json([to_dict(saga) for saga in sagas])
    elif sagas or not missing:
        _print(sagas)
    cut = [name for name, (_, more) in answers.items() if more]
    for name in cut:
        echo(f"{name} has more; a larger --limit shows them", err=True)
    require_all(missing)
    # Whoever gives a limit wants no more.
    if cut and limit is None:
        raise typer.Exit(Exit.INCOMPLETE)


@_app.command("show", help=_SHOW)
@calls_context()
def show(
    caller: CallOptions,
    saga: Id,
    as_json: AsJson = False,
    context: ContextName = "",
) -> None:
    """Show one saga."""
    from intent.cli.formatting import print_tree
    from intent.cli.plain import to_json
    from intent.cli.render_trace import saga_as_tree

    async def work(client: IntentClient) -> GetSagaResponse:
        return await client.sagas.get(saga)

    response = _with_client_of(saga, caller, context, work)
    echo(to_json(response)) if as_json else print_tree(saga_as_tree(response))


@_app.command("resume", help=_RESUME)
@calls_context()
def resume(
    caller: CallOptions,
    saga: Id,
    skip: Annotated[bool, typer.Option("--skip", help="Skip the parked steps; needs --reason.")] = False,
    reason: Annotated[str, typer.Option("--reason", help="Why; it is recorded.")] = "",
    context: ContextName = "",
) -> None:
    """Resume a stuck saga."""
    if skip and not reason:
        raise UsageError("--skip leaves a step undone: say why with --reason")

    async def work(client: IntentClient) -> None:
        await client.sagas.resume(saga, skip=skip, reason=reason)

    _with_client_of(saga, caller, context, work)
    action = "skips its parked steps" if skip else "tries its parked steps again"
    echo(f"{saga} resumes and {action}")
    echo(f"  intent sagas show {saga}")


@_app.command("cancel", help=_CANCEL)
@calls_context()
def cancel(
    caller: CallOptions,
    saga: Id,
    reason: Annotated[str, typer.Option("--reason", help="Why; it is recorded.")],
    context: ContextName = "",
) -> None:
    """Cancel a saga."""

    async def work(client: IntentClient) -> None:
        await client.sagas.cancel(saga, reason)

    _with_client_of(saga, caller, context, work)
    echo(f"{saga} ends at its next step and undoes what it did")
    echo(f"  intent sagas show {saga}")


@_app.command("terminate", help=_TERMINATE)
@calls_context()
def terminate(
    caller: CallOptions,
    saga: Id,
    reason: Annotated[str, typer.Option("--reason", help="Why; it is recorded.")],
    context: ContextName = "",
) -> None:
    """Terminate a saga."""

    async def work(client: IntentClient) -> None:
        await client.sagas.terminate(saga, reason)

    _with_client_of(saga, caller, context, work)
    echo(f"{saga} has ended; what it did stays as it is")
    echo(f"  intent sagas show {saga}")


def _statuses(names: list[str], every: bool) -> list[SagaStatus.ValueType]:
    """Return the statuses to ask for; empty for all."""
    import difflib

    from intent_contracts.intent.v1 import SagaStatus

    known = {name.removeprefix("SAGA_STATUS_").lower(): name for name in SagaStatus.keys()[1:]}
    for name in names:
        if name.lower() not in known:
            near = difflib.get_close_matches(name.lower(), known, n=1)
            hint = f"did you mean {near[0]}? " if near else ""
            raise UsageError(f"there is no status {name}; {hint}there are: {', '.join(known)}")
    chosen = [name.lower() for name in names] or ([] if every else list(_OPEN))
    return [SagaStatus.Value(known[name]) for name in chosen]


async def _newest(
    client: IntentClient, type_: str, statuses: list[SagaStatus.ValueType], correlation: str, limit: int
) -> tuple[list[SagaInfo], bool]:
    """Return the newest sagas up to a limit, and whether there are more."""
    from intent_contracts.intent.v1 import SagaStatus

    sagas: list[SagaInfo] = []
    for status in statuses or [SagaStatus.SAGA_STATUS_UNSPECIFIED]:
        count = 0
        async for saga in client.sagas.every(type=type_, status=status, correlation_id=correlation):
            sagas.append(saga)
            count += 1
            if count > limit:
                break
    return _newest_first(sagas)[:limit], len(sagas) > limit


def _newest_first(sagas: Iterable[SagaInfo]) -> list[SagaInfo]:
    return sorted(sagas, key=lambda saga: saga.started_at.ToNanoseconds(), reverse=True)


def _with_client_of(
    saga: str, caller: CallOptions, context: str, work: Callable[[IntentClient], Awaitable[T]]
) -> T:
    """Run work with a client of the context that a saga belongs to, as the tenant in its id."""
    from intent.contracts import Registry

    registry = Registry.load()
    contract = registry.sagas.get(saga.partition("/")[0])
    if contract is None and not context:
        known = ", ".join(sorted(registry.sagas)) or "none"
        raise UsageError(f"{saga} starts with no saga's type; there are: {known}")
    caller = replace(caller, tenant=caller.tenant or _tenant_of(saga))
    return with_client(caller, context or (contract.context if contract else ""), registry, work)


def _tenant_of(saga: str) -> str:
    """Return the tenant that a saga's id names."""
    parts = saga.split("/", 2)
    if len(parts) < 3:
        raise UsageError(f"{saga} is no saga's id; write it like orders.v1.FulfilOrder/demo/o-1")
    return parts[1]


def _print(sagas: list[SagaInfo]) -> None:
    from datetime import UTC, datetime

    from rich.text import Text

    from intent.cli.formatting import format_duration, problem_text, status_text
    from intent.cli.tables import Cell, print_table

    if not sagas:
        echo("no sagas")
        return
    now = datetime.now(UTC)

    def row(saga: SagaInfo) -> Sequence[Cell]:
        end = saga.ended_at.ToDatetime(UTC) if saga.HasField("ended_at") else now
        took = format_duration(max(0.0, (end - saga.started_at.ToDatetime(UTC)).total_seconds()))
        step = problem_text(saga.problem) if saga.HasField("problem") else saga.step
        return saga.id, Text.from_markup(status_text(saga.status)), step, took, saga.correlation_id

    print_table(("Saga", "Status", "Step", "Took", "Correlation"), map(row, sagas), unwrapped=("Saga",))
