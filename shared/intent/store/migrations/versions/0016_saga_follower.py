"""The follower that brings the events of the log to sagas, as a consumer of the platform itself.

Revision ID: 0016
"""

from __future__ import annotations

import importlib
from typing import Final

from intent.store.migrations.script import run_script

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

FUNCTIONS: Final = ("saga_follower_begin", "saga_follower_rewind", "consumer_own")


def upgrade() -> None:
    """Note where the log ends now: what is recorded later, the follower brings to sagas."""
    first = importlib.import_module("intent.store.migrations.versions.0001_event_store")
    shapes = importlib.import_module("intent.store.migrations.versions.0004_fixed_shapes")
    run_script(shapes.sql("0016_saga_follower_tables"))
    # Only their owner may replace functions, and only that role sees the rows of all tenants.
    run_script("grant create on schema {schema} to {log}; set local role {log}")
    run_script(shapes.sql("0016_consumers").replace("{settings}", first.SETTINGS))
    run_script("revoke all on function {schema}.consumer_page from public")
    run_script(shapes.sql("0016_saga_follower_start"))
    run_script("reset role; revoke create on schema {schema} from {log}")
    shapes.make_functions(shapes.sql("0016_saga_follower"), FUNCTIONS, suffix="", shape="0005")


def downgrade() -> None:
    """Refuse: nobody would know any more which events have reached their sagas."""
    raise NotImplementedError("the event store cannot be downgraded; restore a backup instead")
