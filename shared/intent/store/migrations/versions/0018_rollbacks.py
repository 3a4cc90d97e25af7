"""Read models that go on when a release is rolled back.

Revision ID: 0018
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from intent.store.migrations.script import run_script

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

PROJECTORS: Final = ("projection_present", "projection_take_up")
_COLUMN: Final = """
set local lock_timeout = '5s';
alter table {schema}.projections add column run_at timestamptz not null default clock_timestamp();
comment on column {schema}.projections.run_at is
    'When a process last said that it runs the projection as it is declared.'
"""


def upgrade() -> None:
    """Add the column, the table of declarations and the functions; replace one in the same shape."""
    run_script(_COLUMN)
    run_script((Path(__file__).parent / "sql" / "0018_rollbacks.sql").read_text())
    for function in PROJECTORS:
        run_script(
            "revoke all on function {schema}.{function} from public;"
            "grant execute on function {schema}.{function} to {projector}",
            function=function,
        )


def downgrade() -> None:
    """Refuse: running processes call the functions."""
    raise NotImplementedError("the event store cannot be downgraded; restore a backup instead")
