"""``intent send``: send a command."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from intent.cli.calls import with_client
from intent.cli.connection import AsJson, CallOptions, calls_context
from intent.cli.output import echo

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from intent.client import IntentClient

__all__ = ["register"]

HELP = """Send a command and show the outcome.

The JSON is checked against the contract before it is sent. A command that is sent again with the
same --id has no second effect and gets its first answer.

\b
  intent send orders.v1.ConfirmOrder '{"order_id": "o-1"}'
  intent send PlaceOrder -f order.json --tenant acme
  cat order.json | intent send PlaceOrder
  intent send ConfirmOrder '{"order_id": "o-1"}' --expected-version 3

What a command looks like: intent describe orders.v1.PlaceOrder
"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("send", help=HELP)(send)


@calls_context()
def send(
    caller: CallOptions,
    type_: Annotated[str, typer.Argument(metavar="TYPE", help="The command, e.g. orders.v1.PlaceOrder.")],
    json: Annotated[
        str | None, typer.Argument(metavar="JSON", help="Its fields. Default: standard input.")
    ] = None,
    file: Annotated[Path | None, typer.Option("--file", "-f", help="A file with the JSON.")] = None,
    command_id: Annotated[
        UUID | None, typer.Option("--id", help="The command's id. Default: a new one.")
    ] = None,
    expected_version: Annotated[
        int | None,
        typer.Option(
            "--expected-version", min=0, help="Version that the aggregate must have; 0: it must not exist."
        ),
    ] = None,
    correlation: Annotated[
        str, typer.Option("--correlation", help="Id shared by everything that follows.")
    ] = "",
    applied: Annotated[bool, typer.Option("--applied", help="Do not wait for the read models.")] = False,
    submit: Annotated[
        bool, typer.Option("--submit", help="Wait only until it is accepted durably, not for the result.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Send a command."""
    from intent.cli.messages import find_type, message_of, read_json
    from intent.contracts import Registry, validate

    registry = Registry.load()
    contract = find_type(
        type_,
        registry.commands,
        "command",
        elsewhere=registry.queries,
        instead="a query: intent query",
    )
    command = message_of(contract.message, read_json(json, file))
    validate(command)

    async def work(client: IntentClient) -> Message:
        if submit:
            return await client.submit(
                command, command_id=command_id, expected_version=expected_version, correlation_id=correlation
            )
        return await client.execute(
            command,
            command_id=command_id,
            expected_version=expected_version,
            correlation_id=correlation,
            applied_only=applied,
        )

    _print_answer(with_client(caller, contract.context, registry, work), as_json)


def _print_answer(answer: Message, as_json: bool) -> None:
    from intent_contracts.intent.v1 import CommandResult

    from intent.cli.plain import to_json

    if as_json:
        echo(to_json(answer))
    elif isinstance(answer, CommandResult):
        _print_result(answer)
    else:
        echo(f"accepted as command {answer.command_id}")  # type: ignore[attr-defined]


def _print_result(result: Message) -> None:
    from intent_contracts.intent.v1 import CommandResult

    assert isinstance(result, CommandResult)
    again = " (an earlier call had the effect)" if result.duplicate else ""
    echo(
        f"{result.aggregate_type}/{result.aggregate_id} is at version {result.version}, "
        f"position {result.position}{again}"
    )
    for event in result.events:
        echo(f"  {event.type}")
    if not result.projected:
        echo("  the read models lag behind; pass --min-position to a query to wait for them")
    echo(f"  command {result.command_id}")
