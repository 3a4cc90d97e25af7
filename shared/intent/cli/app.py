"""The application: its commands, and how it ends.

Commands import what they need when they run, so that ``--help`` answers at once.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from typing import Annotated, NoReturn

import typer

from intent.cli.commands import (
    audit,
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
from intent.cli.commands.access import login, profile, token
from intent.cli.exits import Exit, UsageError, error_lines, exit_of
from intent.cli.output import echo, prepare_streams

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
    6  what is shown is incomplete: a context gave no answer, or there is more
  130  interrupted
  141  what reads the output has gone, as after | head
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

        echo(f"intent {version('intent')}")
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
    audit,
    describe,
    new,
    deploy,
    redeliver,
    login,
    token,
    profile,
):
    module.register(app)


def main() -> NoReturn:
    """Run the command line and end the process with one of the codes of `Exit`."""
    try:
        _read_arguments_as_utf8()
        app()
    except Exception as error:
        if _options["debug"]:
            raise
        _end(error)
    sys.exit(Exit.DONE)


def _end(error: Exception) -> NoReturn:
    try:
        for line in error_lines(error):
            echo(line, err=True)
    except typer.Exit as end:
        sys.exit(end.exit_code)
    sys.exit(exit_of(error))


def _read_arguments_as_utf8() -> None:
    """Read the arguments as UTF-8, whatever the locale says.

    Raises:
        UsageError: One is not UTF-8.
    """
    for index, argument in enumerate(sys.argv):
        try:
            sys.argv[index] = os.fsencode(argument).decode()
        except UnicodeError:
            raise UsageError(f"argument {index} is not UTF-8: {argument}") from None


def run() -> NoReturn:
    """Run the command line as a process of its own.

    The threads of Temporal's SDK outlive its clients. One that wakes while the interpreter shuts down
    aborts the process and loses the exit code, so a process with that SDK skips the shutdown.
    """
    prepare_streams()
    # gRPC reads it when it is loaded. Below errors, it writes lines of its own, past all logs.
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    try:
        main()
    except SystemExit as end:
        if "temporalio.bridge" not in sys.modules:
            raise
        logging.shutdown()
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, AttributeError):
                stream.flush()
        os._exit(end.code if isinstance(end.code, int) else Exit.FAILED)
