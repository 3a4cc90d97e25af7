"""Reads of the log that are bounded by what they scan, not only by what they return.

Revision ID: 0017
"""

from __future__ import annotations

import importlib

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the function beside those of earlier releases."""
    shapes = importlib.import_module("intent.store.migrations.versions.0004_fixed_shapes")
    script = shapes.sql("0017_spans").replace("{columns}", f"{shapes.COLUMNS}, tracestate")
    shapes.make_functions(script, ["read_span"], suffix="_0017", shape="0005")


def downgrade() -> None:
    """Refuse: running processes call the function."""
    raise NotImplementedError("the event store cannot be downgraded; restore a backup instead")
