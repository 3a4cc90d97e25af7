"""The audit: who did, or was refused, what.

Revision ID: 0022
"""

from __future__ import annotations

import importlib
from typing import Final

from intent.store.migrations.script import run_script

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

FUNCTIONS: Final = ("audit_write", "audit_read")


def upgrade() -> None:
    """Create the table, and the only functions that write and read it."""
    shapes = importlib.import_module("intent.store.migrations.versions.0004_fixed_shapes")
    run_script(shapes.sql("0022_audit_tables"))
    shapes.make_functions(shapes.sql("0022_audit"), FUNCTIONS, suffix="_0022", shape="0005")
    # A migration is an action as well, and the owner does it.
    run_script(
        "set local role {log}; grant execute on function {schema}.audit_write_0022 to {owner}; reset role"
    )


def downgrade() -> None:
    """Refuse: what was recorded would be lost."""
    raise NotImplementedError("the audit cannot be downgraded; restore a backup instead")
