"""Indexes of rebuilt generations that are built without holding up anybody else.

Revision ID: 0006
"""

from __future__ import annotations

from pathlib import Path

from intent.store.migrations.script import run_script

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Replace the function, in the same shape."""
    run_script((Path(__file__).parent / "sql" / "0006_index_builds.sql").read_text())


def downgrade() -> None:
    """Refuse: the schema goes forward only."""
    raise NotImplementedError("the schema goes forward only")
