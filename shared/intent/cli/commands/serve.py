"""``intent serve`` and ``intent worker``: run the process of a context."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = ["register"]

SERVE_HELP = """Serve a context: its gRPC server and its worker, in one process.

Everything else is set by environment variables (docs/settings.md). SIGTERM ends it gracefully: it
reports not ready, takes no new calls and finishes the work in flight. With --no-worker the work is
left to `intent worker` processes: both kinds then scale separately, and commands take longer.

\b
  intent serve orders
  INTENT_DATABASE_URL_FILE=/run/secrets/db intent serve orders --port 7401
"""
WORKER_HELP = """Run only the worker of a context, without its gRPC server.

It handles commands that other processes of the context receive, side by side with their workers.

\b
  intent worker orders
"""

Name = Annotated[str, typer.Argument(metavar="CONTEXT", help="The context.", envvar="INTENT_CONTEXT")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("serve", help=SERVE_HELP)(serve)
    app.command("worker", help=WORKER_HELP)(worker)


def serve(
    invocation: typer.Context,
    context: Name,
    host: Annotated[str | None, typer.Option("--host", help="Address to listen on (INTENT_HOST).")] = None,
    port: Annotated[int | None, typer.Option("--port", help="Port; 0: a free one (INTENT_PORT).")] = None,
    worker: Annotated[bool, typer.Option(help="Whether to handle commands too.")] = True,
) -> None:
    """Serve a context."""
    given = {"host": host, "port": port}
    overrides: dict[str, object] = {name: value for name, value in given.items() if value is not None}
    _run(invocation, context, overrides, serve=True, work=worker)


def worker(invocation: typer.Context, context: Name) -> None:
    """Run only the worker of a context."""
    _run(invocation, context, {}, serve=False, work=True)


def _run(
    invocation: typer.Context, name: str, overrides: dict[str, object], *, serve: bool, work: bool
) -> None:
    import logging
    from functools import partial

    import uvloop

    from intent.cli.connection import variables_of
    from intent.contracts import Registry
    from intent.model import load_context
    from intent.process.assembly import ContextProcess
    from intent.settings.config import Settings, load_settings
    from intent.settings.variables import unknown_variables
    from intent.telemetry.logs import setup_logging

    read = partial(load_settings, context=name, **overrides)
    settings = read()
    setup_logging(settings)
    known = variables_of(invocation.find_root().command)
    for sentence in unknown_variables(Settings, known=known):
        logging.getLogger("intent").warning(sentence)
    context = load_context(name).bind(Registry.load())
    process = ContextProcess(settings, context, serve=serve, work=work, read_again=read)
    uvloop.run(process.run())
