"""The log has epochs: whoever remembers what it was in one notices that another has begun.

Revision ID: 0014
"""

from __future__ import annotations

import importlib
from typing import Final

from intent.store.migrations.script import run_script

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

FUNCTIONS: Final = (
    "log_incarnation",
    "log_origin",
    "log_begin_epoch",
    "log_epoch_due",
    "log_epochs",
    "log_new_epoch",
    "in_incarnation",
)
FIRST: Final = """
set local role {log};
select {schema}.log_begin_epoch();
grant execute on function {schema}.log_new_epoch to {owner};
reset role;
"""


def upgrade() -> None:
    """Create the table of epochs with the first one, and what begins another."""
    shapes = importlib.import_module("intent.store.migrations.versions.0004_fixed_shapes")
    run_script(shapes.sql("0014_epochs_tables"))
    shapes.make_functions(shapes.sql("0014_epochs"), FUNCTIONS, suffix="", shape="0005")
    run_script(FIRST)


def downgrade() -> None:
    """Refuse: positions could no longer be told apart."""
    raise NotImplementedError("the event store cannot be downgraded; restore a backup instead")
