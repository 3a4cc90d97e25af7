"""Doubts: how many processes have died while a piece of work was under way.

Revision ID: 0007
"""

from __future__ import annotations

import importlib
from typing import Final

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

FUNCTIONS: Final = ("doubt_note", "doubt_try", "doubt_confirm", "doubt_clear", "doubts_read")


def upgrade() -> None:
    """Create the table and the functions that alone read and write it."""
    shapes = importlib.import_module("intent.store.migrations.versions.0004_fixed_shapes")
    shapes.make_functions(shapes.sql("0007_doubts"), FUNCTIONS, suffix="", shape="0005")


def downgrade() -> None:
    """Refuse: running processes call the functions."""
    raise NotImplementedError("the event store cannot be downgraded; restore a backup instead")
