"""What somebody does with the command line past the context's service, for the audit."""

from __future__ import annotations

import getpass
import json
import os
import platform

from intent.auditing import ACTION, AuditDatabase, AuditEntry
from intent.settings.config import Settings
from intent.store.postgres import open_pool

__all__ = ["local_action", "record_as_service"]


def local_action(method: str, reason: str, **target: object) -> AuditEntry:
    """Return the entry for an action of whoever runs this process.

    Args:
        method: The command, e.g. ``intent redeliver``.
        reason: Why; empty: nobody has said.
        target: What it is about.
    """
    return AuditEntry(
        ACTION,
        method,
        actor=f"local:{_user()}",
        peer=platform.node(),
        reason=reason,
        target=json.dumps(target, sort_keys=True),
    )


async def record_as_service(settings: Settings, context: str, entry: AuditEntry) -> None:
    """Record an action over the connection of the service role, before it is done.

    Raises:
        ServerUnavailable: PostgreSQL does not answer, or refuses the role.
        StoreUnavailable: It is not recorded.
    """
    pool = await open_pool(settings.database_url, connections=1, direct_dsn=settings.database_direct_url)
    try:
        await AuditDatabase(pool, context).write([entry])
    finally:
        pool.terminate()


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        # A container may run as a number that has no name.
        return str(os.getuid())
