"""``intent trace``: one story over all contexts."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Final

import typer

from intent.cli.calls import with_clients
from intent.cli.options import AsJson, CallOptions, calls_context

if TYPE_CHECKING:
    from intent_contracts.intent.v1 import GetSagaResponse, RecordedEvent

    from intent.cli.story import Story
    from intent.client import IntentClient

__all__ = ["register"]

HELP = """Show all that followed from one request, over all contexts, as a tree with times.

Commands with their events, what each event caused, sagas with their steps, what was rejected.
The correlation id is what the caller gave (`intent send --correlation`), else the id of the
first command. Times are since the beginning of the story.

\b
  intent trace checkout-17
  intent trace checkout-17 --fields                  with the fields of the events
  intent trace 0198f1e2-… --tenant acme --json
  intent trace checkout-17 -t acme --target orders=10.0.0.1:7400,payments=10.0.0.2:7400

A context that does not answer is named; the rest of the story is shown.
"""
_TIMEOUT: Final = 5.0
_MOST_SAGAS: Final = 200


def register(app: typer.Typer) -> None:
    """Adds the command."""
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
    ] = _TIMEOUT,
) -> None:
    """Shows all that followed from one request."""
    from intent.cli.formatting import print_tree
    from intent.cli.render_story import as_dict, as_tree
    from intent.cli.story import Story, tell
    from intent.contracts import Registry

    registry = Registry.load()

    async def work(client: IntentClient) -> tuple[list[RecordedEvent], list[GetSagaResponse]]:
        events = [event async for event in client.events(follow=False, correlation_id=correlation)]
        return events, await _sagas(client, correlation)

    caller = replace(caller, timeout=timeout)
    parts, missing = with_clients(caller, "", registry, work)
    events = [event for found, _ in parts.values() for event in found]
    sagas = [saga for _, found in parts.values() for saga in found]
    story = Story(correlation, caller.acting_tenant(), tell(events, sagas, registry), missing)
    if as_json:
        typer.echo(json.dumps(as_dict(story, registry), indent=2, ensure_ascii=False))
        return
    _require_any(story)
    print_tree(as_tree(story, registry, fields=fields))


async def _sagas(client: IntentClient, correlation: str) -> list[GetSagaResponse]:
    import asyncio

    from intent.errors import UnknownType

    try:
        listed = await client.sagas.page(correlation_id=correlation, page_size=_MOST_SAGAS)
    except UnknownType:
        # An older version of the platform, which does not show sagas.
        return []
    # Side by side: each waits by itself for a worker that may be away.
    return list(await asyncio.gather(*(client.sagas.get(info.id) for info in listed.sagas)))


def _require_any(story: Story) -> None:
    from intent.errors import NotFound

    if story.roots:
        return
    unasked = "".join(f"; {name} was not asked: {why}" for name, why in story.away.items())
    of = f" of tenant {story.tenant}" if story.tenant else ""
    raise NotFound("STORY_NOT_FOUND", f"nothing has the correlation id {story.correlation}{of}{unasked}")
