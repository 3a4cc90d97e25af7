"""``intent migrate``: bring the schema of a context up to date."""

from __future__ import annotations

from typing import Annotated

import typer

from intent.cli.connection import Reason
from intent.cli.exits import UsageError
from intent.cli.output import echo

__all__ = ["register"]

HELP = """Bring the schema of a context up to date: the event store, its read models, its own tables.

Running it twice, or from two processes at once, is safe. It connects as the owner
(INTENT_OWNER_DATABASE_URL); with --provision it first creates roles and schema as an
administrator (INTENT_ADMIN_DATABASE_URL), and gives the roles the passwords that their URLs carry
(INTENT_OWNER_DATABASE_URL, INTENT_DATABASE_URL, INTENT_QUERY_DATABASE_URL). Roles are the same in all
databases of a server: those of another database are refused, unless --share-roles says to share them
and their passwords. It also limits the connections of the roles (INTENT_SERVICE_CONNECTION_LIMIT,
INTENT_QUERY_CONNECTION_LIMIT), and takes the right to connect to the database from all roles that were not
given it by name.

\b
  intent migrate orders
  intent migrate orders --provision

With --new-epoch, processes and callers take the log for one that has gone back, drop what they remember of
it, and read it anew. A restore to another server or to a point in time is noticed without; say it after you
have set the rows of the log back in their place.
"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("migrate", help=HELP)(migrate)


def migrate(
    context: Annotated[str, typer.Argument(metavar="CONTEXT", help="The context.", envvar="INTENT_CONTEXT")],
    provision: Annotated[bool, typer.Option("--provision", help="Create roles and schema first.")] = False,
    share_roles: Annotated[
        bool, typer.Option("--share-roles", help="Share the roles of another database of the server.")
    ] = False,
    reason: Reason = "",
    new_epoch: Annotated[
        bool, typer.Option("--new-epoch", help="Say that the log was set back in its place.")
    ] = False,
) -> None:
    """Bring the schema of a context up to date."""
    import asyncio

    from intent.auditing import write_as_owner
    from intent.contracts import Registry
    from intent.model import load_context
    from intent.process.local_actions import local_action
    from intent.process.schema import limits_of, passwords_of, prepare_schema
    from intent.settings.config import load_settings
    from intent.store.migrations.epochs import begin_epoch

    settings = load_settings(context=context)
    if not settings.owner_database_url:
        raise UsageError("set INTENT_OWNER_DATABASE_URL to the URL of PostgreSQL for the context's owner")
    if provision and not settings.admin_database_url:
        raise UsageError("--provision needs INTENT_ADMIN_DATABASE_URL, the URL of an administrator")
    bound = load_context(context).bind(Registry.load())
    asyncio.run(
        prepare_schema(
            bound,
            settings.owner_database_url,
            admin_url=settings.admin_database_url if provision else "",
            passwords=passwords_of(settings),
            share_roles=share_roles,
            limits=limits_of(settings),
            reason=reason,
        )
    )
    echo(f"the schema of {context} is up to date")
    if new_epoch:
        entry = local_action("intent migrate --new-epoch", reason)
        asyncio.run(write_as_owner(settings.owner_database_url, bound.name, entry))
        epoch = asyncio.run(begin_epoch(context, settings.owner_database_url))
        echo(f"the log of {context} has begun the epoch {epoch}")
