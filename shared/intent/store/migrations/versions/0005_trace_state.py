"""The state of the trace that an event belongs to.

Revision ID: 0005
"""

from __future__ import annotations

import importlib

from intent.store.migrations.script import run_script

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column, and functions that write and read it beside those that do not know it."""
    shapes = importlib.import_module("intent.store.migrations.versions.0004_fixed_shapes")
    # Every other session waits behind this one while it waits for the log's lock, so it gives up soon.
    # Appends lock the head first and then the log; a later revision, in this transaction, needs both.
    run_script(
        "set local lock_timeout = '5s';"
        "set local role {log}; select from {schema}.head for no key update; reset role;"
        "alter table {schema}.events add column tracestate text not null default ''"
    )
    shapes.make_entries("0005", f"{shapes.COLUMNS}, tracestate")
    script = shapes.sql("0005_append") + shapes.sql("0004_read")
    shapes.make_functions(script, ("append", *shapes.READING), suffix="_0005", shape="0005")


def downgrade() -> None:
    """Refuse: the column may hold the only copy of its values."""
    raise NotImplementedError("the log cannot be downgraded; restore a backup instead")
