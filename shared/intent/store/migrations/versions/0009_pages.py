"""Streams are read in pages, and a snapshot can be kept of what was read.

Revision ID: 0009
"""

from __future__ import annotations

import importlib
from typing import Final

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

FUNCTIONS: Final = ("load_page", "keep_snapshot")


def upgrade() -> None:
    """Create the functions; `load` stays for processes of the release before."""
    shapes = importlib.import_module("intent.store.migrations.versions.0004_fixed_shapes")
    shapes.make_functions(shapes.sql("0009_pages"), FUNCTIONS, suffix="", shape="0005")


def downgrade() -> None:
    """Refuse: the schema goes forward only."""
    raise NotImplementedError("the schema goes forward only")
