"""Preparation of a context's schema; imported by tools, never by a serving process."""

from __future__ import annotations

from typing import Any

from intent.auditing import write_over
from intent.model import BoundContext
from intent.process.local_actions import local_action
from intent.projections.tables import ensure_tables
from intent.settings.config import Settings
from intent.settings.database_urls import database_url
from intent.store.migrations import migrate
from intent.store.migrations.provisioning import Limits, Passwords, provision

__all__ = ["limits_of", "passwords_of", "prepare_schema"]


def passwords_of(settings: Settings) -> Passwords:
    """Return the passwords that the roles' URLs carry; None for a URL without one."""
    urls = (settings.owner_database_url, settings.database_url, settings.query_database_url)
    return Passwords(*(database_url(url).password if url else None for url in urls))


def limits_of(settings: Settings) -> Limits:
    """Return how many connections the settings give the roles."""
    return Limits(settings.service_connection_limit, settings.query_connection_limit)


async def prepare_schema(
    context: BoundContext,
    owner_url: str,
    *,
    admin_url: str = "",
    passwords: Passwords | None = None,
    share_roles: bool = False,
    limits: Limits | None = None,
    reason: str = "",
) -> None:
    """Bring a context's schema and the tables of its read models up to date.

    Args:
        context: The context.
        owner_url: The URL of the database for the context's owner.
        admin_url: The URL for a role that may create roles and schemas, to create them first;
            empty: they exist.
        passwords: The passwords of the roles.
        share_roles: Whether the roles may be those of another database of the server.
        limits: How many connections the roles may have.
        reason: Why, for the audit.

    Raises:
        ConfigurationError: PostgreSQL does not answer, or refuses.
    """
    if admin_url:
        await provision(admin_url, context.name, passwords, share_roles=share_roles, limits=limits)

    async def tables(connection: Any) -> None:
        await ensure_tables(connection, context)

    async def record(connection: Any, before: str, after: str) -> None:
        provisioned = bool(admin_url)
        if provisioned or before != after:
            target = {"before": before, "after": after, "provisioned": provisioned}
            await write_over(connection, context.name, local_action("intent migrate", reason, **target))

    await migrate(owner_url, context.name, folder=context.migrations, prepare=tables, record=record)
