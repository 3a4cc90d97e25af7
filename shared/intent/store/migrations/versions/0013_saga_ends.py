"""The ends of sagas, which outlive what Temporal remembers of them.

Revision ID: 0013
"""

from __future__ import annotations

import importlib
from typing import Final

from intent.store.migrations.script import run_script

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

FUNCTIONS: Final = ("saga_ends_record", "saga_end", "saga_ends_known", "saga_ends_known_up_to")


def upgrade() -> None:
    """Create the tables and the functions that alone read and write them."""
    shapes = importlib.import_module("intent.store.migrations.versions.0004_fixed_shapes")
    run_script(shapes.sql("0013_saga_ends_tables"))
    run_script(shapes.sql("0001_security"), table="saga_ends")
    shapes.make_functions(shapes.sql("0013_saga_ends"), FUNCTIONS, suffix="", shape="0005")


def downgrade() -> None:
    """Refuse: sagas that are over could begin anew."""
    raise NotImplementedError("the event store cannot be downgraded; restore a backup instead")
