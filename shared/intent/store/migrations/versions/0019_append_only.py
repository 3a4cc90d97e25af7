"""A log that its owner does not rewrite by a slip either.

Revision ID: 0019
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from intent.store.migrations.script import run_script

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

TABLES: Final = ("events", "commands")


def upgrade() -> None:
    """Take the owner's rights to change what is recorded, and refuse it should they come back."""
    run_script((Path(__file__).parent / "sql" / "0019_append_only.sql").read_text())
    for table in TABLES:
        run_script(
            "revoke update, delete, truncate on {schema}.{table} from {owner};"
            "create trigger append_only before update or delete or truncate on {schema}.{table}"
            " for each statement execute function {schema}.log_append_only()",
            table=table,
        )


def downgrade() -> None:
    """Refuse: the log would be open to slips again."""
    raise NotImplementedError("the event store cannot be downgraded; restore a backup instead")
