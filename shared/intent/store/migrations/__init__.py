"""Migrations of a context's schema, by alembic.

The platform's revisions are in ``versions`` here; a context may have a folder of its own, which is
tracked in a table of its own. Both run in one transaction under a lock that only the schema's owner can
hold, so running them twice, or in two processes at once, is safe. A schema that may be in use is first
migrated to the revision that fixes the shape of the functions that running processes call, so that none
of these fails while tables change.
Serving processes import nothing from here.
"""

from intent.store.migrations.migrating import migrate
from intent.store.migrations.provisioning import Limits, Passwords, provision

__all__ = ["Limits", "Passwords", "migrate", "provision"]
