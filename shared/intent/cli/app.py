"""The application: its commands, and how it ends.

Commands import what they need when they run, so that ``--help`` answers at once.
"""

from __future__ import annotations

import logging
import os
import sys
from typing import Annotated, NoReturn

import typer

from intent.cli.commands import (
    consumers,
    deploy,
    describe,
    dev,
    events,
    migrate,
    new,
    parked,
    projections,
    query,
    redeliver,
    sagas,
    send,
    serve,
    trace,
)
from intent.cli.exits import Exit, exit_of, print_error

__all__ = ["app", "main", "run"]

HELP = """Intent: event-sourced, multi-tenant back ends on gRPC, Temporal and PostgreSQL.

[bold]Five minutes[/bold], in two terminals:

\b
  intent dev
  intent describe orders.v1.PlaceOrder
  intent send orders.v1.PlaceOrder -f order.json
  intent query orders.v1.GetOrder '{"order_id": "o-1"}'
  intent events --follow

[bold]Exit codes[/bold]

\b
    0  done
    1  the command or query was refused; it had no effect
    2  wrong arguments or JSON
    3  settings, contracts, a port or a program must be fixed
    4  a service does not answer
    5  something failed
  130  interrupted
"""

app = typer.Typer(
    name="intent",
    help=HELP,
    no_args_is_help=True,
    add_completion=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
_options = {"debug": False}


def _version(value: bool) -> None:
    if value:
        from importlib.metadata import version

        typer.echo(f"intent {version('intent')}")
        raise typer.Exit


@app.callback()
def _root(
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the stack when something fails.", envvar="INTENT_DEBUG")
    ] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    _options["debug"] = debug


for module in (
    dev,
    serve,
    migrate,
    send,
    query,
    events,
    trace,
    projections,
    sagas,
    consumers,
    parked,
    describe,
    new,
    deploy,
    redeliver,
):
    module.register(app)


def main() -> NoReturn:
    """Run the command line and end the process with one of the codes of `Exit`."""
    try:
        app()
    except Exception as error:
        if _options["debug"]:
            raise
        print_error(error)
        sys.exit(exit_of(error))
    sys.exit(Exit.DONE)


def run() -> NoReturn:
    """Run the command line as a process of its own.

    The threads of Temporal's SDK outlive its clients. One that wakes while the interpreter shuts down
    aborts the process and loses the exit code, so a process with that SDK skips the shutdown.
    """
    try:
        main()
    except SystemExit as end:
        if "temporalio.bridge" not in sys.modules:
            raise
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(end.code if isinstance(end.code, int) else Exit.FAILED)
