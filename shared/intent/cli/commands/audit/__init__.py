"""``intent audit``: who did, or was refused, what, and whether somebody changed what is recorded."""

from __future__ import annotations

import typer

from intent.cli.commands.audit import showing, verifying

__all__ = ["register"]

HELP = """Show who did, or was refused, what; and find out whether somebody changed what is recorded.

Every refusal for want of right, and everything that an operator does, is in the audit of its context. The
log and the audit are chained by digests: `verify` finds what was changed, removed or inserted afterwards.
Keep the output of `head` where nobody who can write to the database can write, and `verify` also finds a
chain that was written anew from some point on.

Calls need the role operator and a token that is bound to no tenant; everybody has that in development.

\b
  intent audit list --since 2h
  intent audit list --kind refusal --actor user:ann --context orders
  intent audit export --context orders > audit.jsonl
  intent audit head --context orders > head.json
  intent audit verify orders --head head.json
"""

_app = typer.Typer(name="audit", help=HELP, no_args_is_help=True, rich_markup_mode="rich")
for module in (showing, verifying):
    module.register(_app)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(_app)
