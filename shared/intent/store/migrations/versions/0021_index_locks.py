"""Indexes of rebuilt generations that are built under a lock that only roles with rights can hold.

Revision ID: 0021
"""

from __future__ import annotations

from pathlib import Path

from intent.store.migrations.script import run_script

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Replace the function, in the same shape."""
    run_script((Path(__file__).parent / "sql" / "0021_index_locks.sql").read_text())


def downgrade() -> None:
    """Refuse: the schema goes forward only."""
    raise NotImplementedError("the event store cannot be downgraded; restore a backup instead")
