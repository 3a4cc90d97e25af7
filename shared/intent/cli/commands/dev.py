"""``intent dev``: everything on this machine."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from intent.cli.exits import Exit, UsageError
from intent.cli.output import markup, open_console

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console
    from rich.table import Table

    from intent.dev import DevStack
    from intent.dev.identity import DevIssuer

__all__ = ["register"]

HELP = """Run everything on this machine: PostgreSQL, Temporal with its UI, and every context.

Each is a process of its own, as in production. Data is kept in .dev and survives a restart; a
context that dies is restarted; Ctrl-C ends everything.

\b
  intent dev
  intent dev --port-base 8400          other ports, when these are taken
  intent dev --data /tmp/other         other data
  intent dev --replicas orders=2       two processes of orders, as in production
  intent dev --identity token          callers need tokens, as in production; then intent login

Other commands in the same folder find it without options: intent send, intent events, ….
"""
_IDENTITIES: Final = ("dev", "token")
_COLOURS: Final = ("cyan", "magenta", "green", "yellow", "blue")
_TICK: Final = 0.1
_MOST_REPLICAS: Final = 10


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("dev", help=HELP)(dev)


def dev(
    data: Annotated[
        Path | None, typer.Option("--data", envvar="INTENT_DEV_DATA", help="Where data is kept. [.dev]")
    ] = None,
    port_base: Annotated[
        int, typer.Option("--port-base", envvar="INTENT_DEV_PORT_BASE", help="First port; 0 takes free ones.")
    ] = 7400,
    replicas: Annotated[
        list[str] | None,
        typer.Option(
            "--replicas",
            metavar="[CONTEXT=]N",
            help="Number of processes of a context, or of each; may be repeated. [1]",
        ),
    ] = None,
    identity: Annotated[
        str,
        typer.Option(
            "--identity",
            envvar="INTENT_DEV_IDENTITY",
            metavar="dev|token",
            help="How callers are identified: dev believes what they say; token runs an issuer of tokens.",
        ),
    ] = "dev",
) -> None:
    """Run everything on this machine."""
    from importlib.metadata import entry_points

    from intent.dev import DevLayout, DevStack
    from intent.dev.state import DEFAULT_FOLDER
    from intent.errors import ConfigurationError

    if identity not in _IDENTITIES:
        raise UsageError(f"--identity {identity}: write dev or token")
    contexts = sorted(entry.name for entry in entry_points(group="intent.contexts"))
    if not contexts:
        raise ConfigurationError("no context is installed; install one, e.g. contexts/orders")
    folder, processes = (data or Path(DEFAULT_FOLDER)).absolute(), _replicas(replicas or (), contexts)
    layout = DevLayout.of(folder, contexts, port_base, processes, issuer=identity == "token")
    _end_on_signals()
    stack = DevStack(layout)
    screen = _Screen(open_console(highlight=False), stack)
    try:
        screen.start()
        screen.print_addresses(layout.logs)
        screen.follow()
    except KeyboardInterrupt:
        raise typer.Exit(Exit.DONE) from None
    finally:
        screen.stop()


def _replicas(texts: Sequence[str], contexts: Sequence[str]) -> dict[str, int]:
    """Parse ``orders=2``, or ``2`` for every context."""
    replicas: dict[str, int] = {}
    for text in texts:
        context, _, number = text.rpartition("=")
        if not number.isdigit() or not 1 <= int(number) <= _MOST_REPLICAS:
            raise UsageError(f"--replicas {text} must be a number up to {_MOST_REPLICAS}, or CONTEXT=NUMBER")
        if context and context not in contexts:
            known = ", ".join(contexts)
            raise UsageError(f"--replicas {text}: there is no context {context}; installed are: {known}")
        replicas.update(dict.fromkeys([context] if context else contexts, int(number)))
    return replicas


def _end_on_signals() -> None:
    """Make Ctrl-C, a terminal that closes and `kill` end everything gracefully.

    Also set for Ctrl-C, because a process that is started in the background inherits that it is ignored.
    """

    def interrupt(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)


class _Screen:
    """What the terminal shows."""

    def __init__(self, console: Console, stack: DevStack) -> None:
        self._console = console
        self._stack = stack
        widest = max(len(context.name) for context in stack.contexts)
        self._labels = {
            context.name: f"[{_COLOURS[index % len(_COLOURS)]}]{context.name:<{widest}}[/] │ "
            for index, context in enumerate(stack.contexts)
        }

    def start(self) -> None:
        """Start everything, and show the step in progress."""
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        steps = list(self._stack.steps())
        columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
        try:
            with Progress(*columns, console=self._console, transient=True) as progress:
                task = progress.add_task("Start", total=len(steps))
                for name, work in steps:
                    progress.update(task, description=f"{name} …")
                    work()
                    progress.advance(task)
        except BaseException:
            self._print_logs()
            raise

    def print_addresses(self, logs: Path) -> None:
        """Print where everything is served, and where the logs are."""
        from rich.table import Table

        state = self._stack.state
        table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
        for name, address in state.contexts.items():
            table.add_row(name, f"[bold]{address.target}[/bold]  gRPC, with reflection and health")
            for other in address.others:
                table.add_row("", f"[bold]{other}[/bold]  the same, another process")
            table.add_row("", f"{address.metrics}")
        table.add_row("Temporal UI", f"[bold]{state.temporal_ui}[/bold]")
        table.add_row("Temporal", state.temporal)
        table.add_row("PostgreSQL", state.postgres)
        if self._stack.issuer is not None:
            self._add_users(table, self._stack.issuer)
        table.add_row("Logs", str(logs))
        self._console.print(table)
        self._console.print("[dim]Everything runs. Ctrl-C ends it; data stays.[/dim]")

    @staticmethod
    def _add_users(table: Table, issuer: DevIssuer) -> None:
        from intent.dev.identity import USERS

        table.add_row("Issuer", f"[bold]{issuer.url}[/bold]  `intent login` gets a token from it, for:")
        for user in USERS:
            table.add_row("", f"[bold]{user.name}[/bold]  {user.about}; roles: {', '.join(user.roles)}")
        table.add_row("", f"passwords: {issuer.users_file}")

    def follow(self) -> None:
        """Show the logs and keep everything running until it is interrupted."""
        while True:
            self._print_logs()
            for name, news in self._stack.keep_running():
                self._console.print(f"[bold yellow]{name} {news}[/bold yellow]")
            time.sleep(_TICK)

    def stop(self) -> None:
        """Stop everything, and ignore further interrupts meanwhile."""
        if not self._stack.started:
            return
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        with self._console.status("Stopping: contexts finish their work …"):
            self._stack.stop()
        self._print_logs()
        self._console.print("[dim]Everything has stopped.[/dim]")

    def _print_logs(self) -> None:

        for context in self._stack.contexts:
            for line in context.log.lines():
                self._console.print(f"{self._labels[context.name]}{markup(line)}", soft_wrap=True)
