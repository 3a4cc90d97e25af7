"""``intent trace``: everything that followed from one request, over all contexts."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Final

import typer

from intent.cli.calls import require_all, with_clients
from intent.cli.connection import AsJson, CallOptions, calls_context
from intent.cli.output import echo, echo_json

if TYPE_CHECKING:
    from intent_contracts.intent.v1 import GetSagaResponse, RecordedEvent

    from intent.cli.trace_tree import Trace
    from intent.client import IntentClient
    from intent.errors import NotFound

__all__ = ["register"]

HELP = """Show everything that followed from one request, over all contexts, as a tree with times.

It shows commands with their events, what each event caused, sagas with their steps, and rejections.
The correlation id is what the caller gave (`intent send --correlation`), else the id of the first
command. Times are relative to the first event or saga.

\b
  intent trace checkout-17
  intent trace checkout-17 --fields                  with the fields of the events
  intent trace 0198f1e2-… --tenant acme --json
  intent trace checkout-17 -t acme --target orders=10.0.0.1:7400,payments=10.0.0.2:7400

A context that does not answer is named; the rest of the trace is shown, and the exit code is 6.
"""
_CONTEXT_TIMEOUT: Final = 5.0
_SAGAS_AT_ONCE: Final = 100


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("trace", help=HELP)(trace)


@calls_context(without={"timeout"})
def trace(
    caller: CallOptions,
    correlation: Annotated[str, typer.Argument(metavar="CORRELATION", help="The correlation id.")],
    fields: Annotated[bool, typer.Option("--fields", help="Show the fields of the events.")] = False,
    as_json: AsJson = False,
    timeout: Annotated[
        float,
        typer.Option("--timeout", help="Longest time for each context, in seconds.", min=0.1),
    ] = _CONTEXT_TIMEOUT,
) -> None:
    """Show everything that followed from one request."""
    import asyncio

    from intent.cli.formatting import print_tree
    from intent.cli.render_trace import trace_as_dict, trace_as_tree
    from intent.cli.trace_tree import Trace, trace_roots
    from intent.contracts import Registry

    registry = Registry.load()

    async def work(client: IntentClient) -> tuple[list[RecordedEvent], list[GetSagaResponse]]:
        async with asyncio.timeout(timeout):
            events = [event async for event in client.events(follow=False, correlation_id=correlation)]
            return events, await _sagas(client, correlation)

    caller = replace(caller, timeout=timeout)
    answers, missing = with_clients(caller, "", registry, work)
    events = [event for found, _ in answers.values() for event in found]
    sagas = [saga for _, found in answers.values() for saga in found]
    roots = trace_roots(events, sagas, registry)
    found = Trace(correlation, caller.acting_tenant(), roots, missing)
    if as_json:
        echo_json(trace_as_dict(found, registry))
    elif roots:
        print_tree(trace_as_tree(found, registry, fields=fields))
    elif not missing:
        raise _not_found(found)
    else:
        echo(_not_found(found).message, err=True)
    require_all(missing)


async def _sagas(client: IntentClient, correlation: str) -> list[GetSagaResponse]:
    import asyncio

    from intent.errors import UnknownType

    try:
        listed = [info.id async for info in client.sagas.every(correlation_id=correlation)]
    except UnknownType:
        # A context with an older version of the platform, which has no service for sagas.
        return []
    at_once = asyncio.Semaphore(_SAGAS_AT_ONCE)

    async def one(saga: str) -> GetSagaResponse:
        async with at_once:
            return await client.sagas.get(saga)

    # Side by side, because each call may have to wait for an unavailable worker.
    return list(await asyncio.gather(*map(one, listed)))


def _not_found(trace: Trace) -> NotFound:
    from intent.errors import NotFound

    tenant = f" of tenant {trace.tenant}" if trace.tenant else ""
    return NotFound("TRACE_NOT_FOUND", f"nothing has the correlation id {trace.correlation}{tenant}")
