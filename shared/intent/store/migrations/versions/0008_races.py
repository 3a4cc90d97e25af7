"""Consumers that cannot lock each other out, and writes of read models that notice a skip.

Revision ID: 0008
"""

from __future__ import annotations

import importlib

from intent.store.migrations.script import run_script

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Replace functions of consumers, in the same shape, and add the one that writes of pages ask."""
    first = importlib.import_module("intent.store.migrations.versions.0001_event_store")
    shapes = importlib.import_module("intent.store.migrations.versions.0004_fixed_shapes")
    # Only their owner may replace functions.
    run_script("grant create on schema {schema} to {log}; set local role {log}")
    run_script(shapes.sql("0008_consumers").replace("{settings}", first.SETTINGS))
    run_script("reset role; revoke create on schema {schema} from {log}")
    run_script(shapes.sql("0008_skips"))


def downgrade() -> None:
    """Refuse: running processes call the functions."""
    raise NotImplementedError("the event store cannot be downgraded; restore a backup instead")
