"""Consumers that remember who joined them last.

Revision ID: 0020
"""

from __future__ import annotations

import importlib
from typing import Final

from intent.store.migrations.script import run_script

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

FUNCTIONS: Final = ("consumer_join", "consumer_list")
_COLUMN: Final = """
set local lock_timeout = '5s';
alter table {schema}.consumers add column joined_by text not null default '';
comment on column {schema}.consumers.joined_by is
    'The actor that joined it last; empty: the platform, or one of before this column.'
"""


def upgrade() -> None:
    """Add the column, and functions beside those of earlier releases."""
    shapes = importlib.import_module("intent.store.migrations.versions.0004_fixed_shapes")
    run_script(_COLUMN)
    shapes.make_functions(shapes.sql("0020_consumer_actors"), FUNCTIONS, suffix="_0020", shape="0005")


def downgrade() -> None:
    """Refuse: running processes call the functions."""
    raise NotImplementedError("the event store cannot be downgraded; restore a backup instead")
