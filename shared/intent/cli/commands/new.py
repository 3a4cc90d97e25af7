"""``intent new``: create something new."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from intent.cli.output import echo

if TYPE_CHECKING:
    from intent.cli.scaffold.plan import ScaffoldPlan

__all__ = ["register"]

HELP = """Create something new in this repository.

Run it in any folder of the repository; --dry-run only shows what would be written.

\b
  intent new context loyalty
  intent new context loyalty --aggregate Account --dry-run
"""
_CONTEXT = """Create a context: contracts, domain, read model, query, tests, pins and deployment.

It has one aggregate with one command, one event, one read model and one query. It passes
`make test` and answers its first command as generated; make it your own from there.

\b
  intent new context loyalty --aggregate Account
  intent new context gift_cards                  the aggregate will be GiftCard
  intent new context loyalty --dry-run           only show what would be written
"""

_app = typer.Typer(name="new", help=HELP, no_args_is_help=True, rich_markup_mode="rich")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(_app)


# typer turns a group with a single command into that command; the callback keeps it a group.
@_app.callback()
def _group() -> None:
    """Create something new."""


@_app.command("context", help=_CONTEXT)
def context(
    name: Annotated[str, typer.Argument(help="Its name in lower-case letters, e.g. loyalty.")],
    aggregate: Annotated[
        str,
        typer.Option("--aggregate", "-a", help="Its aggregate, e.g. Account. Default: from its name."),
    ] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be written.")] = False,
) -> None:
    """Create a context."""
    from pathlib import Path

    from intent.cli.scaffold.plan import ScaffoldPlan
    from intent.cli.scaffold.workspace import Workspace

    plan = ScaffoldPlan.of(Workspace.around(Path.cwd()), name, aggregate)
    if not dry_run:
        plan.write()
    _print(plan, dry_run)


def _print(plan: ScaffoldPlan, dry_run: bool) -> None:
    names = plan.names
    verbs = ("would write", "would change") if dry_run else ("wrote", "changed")
    echo(f"The context {names.context} with the aggregate {names.aggregate}:")
    for verb, paths in zip(verbs, (plan.created, plan.changed), strict=True):
        for path in sorted(paths):
            echo(f"  {verb} {path}")
    if dry_run:
        return
    own, id_ = names.messages, names.fields()["example_id"]
    key = f'"{names.thing}_id": "{id_}"'
    echo("\nNext:")
    echo("  make test")
    echo("  make dev")
    echo(f"""  intent send {names.context}.v1.{own["command"]} '{{{key}, "name": "first"}}'""")
    echo(f"""  intent query {names.context}.v1.{own["query"]} '{{{key}}}'""")
    echo("\nThen make it your own: docs/writing-a-context.md.")
