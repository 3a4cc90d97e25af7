"""Projections: their checkpoints, the tables of their rows, and how these are rebuilt.

Revision ID: 0002
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from intent.store.migrations.script import run_script

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

OWNERS: Final = (
    "projection_table_create",
    "projection_load_create",
    "projection_write_create",
    "projection_show",
    "projection_drop",
    "projection_declare",
)
PROJECTORS: Final = ("projection_index", "projection_rebuild_begin", "projection_rebuild_switch")


def upgrade() -> None:
    """Create the tables, and the functions that create and replace the tables of rows."""
    for part in ("tables", "generations", "rebuild"):
        run_script((Path(__file__).parent / "sql" / f"0002_{part}.sql").read_text())
    for function in (*OWNERS, *PROJECTORS):
        run_script("revoke all on function {schema}.{function} from public", function=function)
    for function in PROJECTORS:
        run_script("grant execute on function {schema}.{function} to {projector}", function=function)


def downgrade() -> None:
    """Refuse: the declarations of projections stay; their rows are rebuilt from the log."""
    raise NotImplementedError("projections cannot be downgraded; they are rebuilt from the log")
