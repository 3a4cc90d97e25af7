"""A page of every stream is loaded at the cost of its rows.

Revision ID: 0012
"""

from __future__ import annotations

import importlib
from typing import Final

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

FUNCTIONS: Final = ("load",)


def upgrade() -> None:
    """Create the function; `load_page` stays for streams with large events, and the release before."""
    shapes = importlib.import_module("intent.store.migrations.versions.0004_fixed_shapes")
    shapes.make_functions(shapes.sql("0012_load"), FUNCTIONS, suffix="_0012", shape="0005")


def downgrade() -> None:
    """Refuse: the schema goes forward only."""
    raise NotImplementedError("the schema goes forward only")
