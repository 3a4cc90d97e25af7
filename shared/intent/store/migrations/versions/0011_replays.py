"""Replays of parked streams are counted, since what was rejected before one needs an id of its own.

Revision ID: 0011
"""

from __future__ import annotations

import importlib

from intent.store.migrations.script import run_script

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Count replays, and add a function that returns the number beside the one of earlier releases."""
    first = importlib.import_module("intent.store.migrations.versions.0001_event_store")
    shapes = importlib.import_module("intent.store.migrations.versions.0004_fixed_shapes")
    run_script(
        "set local lock_timeout = '5s';"
        "alter table {schema}.consumer_streams add column replays integer not null default 0;"
        "comment on column {schema}.consumer_streams.replays is"
        " 'How often an operator replayed the stream since it was set aside.'"
    )
    # Only their owner may replace functions.
    run_script("grant create on schema {schema} to {log}; set local role {log}")
    run_script(shapes.sql("0011_replay").replace("{settings}", first.SETTINGS))
    run_script("reset role; revoke create on schema {schema} from {log}")
    shapes.make_functions(shapes.sql("0011_aside"), ["consumer_aside"], suffix="_0011", shape="0005")


def downgrade() -> None:
    """Refuse: running processes call the functions."""
    raise NotImplementedError("the event store cannot be downgraded; restore a backup instead")
