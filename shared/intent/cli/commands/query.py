"""``intent query``: query a context."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from intent.cli.calls import with_client
from intent.cli.connection import CallOptions, calls_context
from intent.cli.output import echo, open_console
from intent.escaping import escaped

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from intent.client import IntentClient

__all__ = ["register"]

HELP = """Query a context and print the answer as JSON.

\b
  intent query orders.v1.GetOrder '{"order_id": "o-1"}'
  intent query ListOrders '{"status": "ORDER_STATUS_OPEN", "page_size": 10}'
  intent query GetOrder '{"order_id": "o-1"}' --min-position 42

With --min-position the answer waits until the read model has reached that position of the log:
pass the position that `intent send` printed, to read your own writes.
"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("query", help=HELP)(query)


@calls_context()
def query(
    caller: CallOptions,
    type_: Annotated[str, typer.Argument(metavar="TYPE", help="The query, e.g. orders.v1.GetOrder.")],
    json: Annotated[str | None, typer.Argument(metavar="JSON", help="Its fields. Default: none.")] = None,
    file: Annotated[Path | None, typer.Option("--file", "-f", help="A file with the JSON.")] = None,
    min_position: Annotated[
        int, typer.Option("--min-position", min=0, help="Position that the read model must have reached.")
    ] = 0,
) -> None:
    """Query a context."""
    from rich.highlighter import JSONHighlighter

    from intent.cli.messages import find_type, message_of, read_json
    from intent.cli.plain import to_json
    from intent.contracts import Registry, validate

    registry = Registry.load()
    contract = find_type(
        type_,
        registry.queries,
        "query",
        elsewhere=registry.commands,
        instead="a command: intent send",
    )
    text = "{}" if json is None and file is None else read_json(json, file)
    message = message_of(contract.message, text)
    validate(message)

    async def work(client: IntentClient) -> Message:
        return await client.query(message, min_position=min_position)

    answer = to_json(with_client(caller, contract.context, registry, work))
    console = open_console()
    if console.is_terminal:
        console.print(JSONHighlighter()(escaped(answer, lines=True)), soft_wrap=True)
    else:
        echo(answer)
