"""Pages that are bounded in bytes, consumers that are bounded in number, and no way past a bound tenant.

Revision ID: 0010
"""

from __future__ import annotations

import importlib
from typing import Final

from intent.store.migrations.script import run_script

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

PAGES: Final = (
    "read_log",
    "read_stream",
    "consumer_read",
    "consumer_parked",
    "consumer_list",
    "consumer_join",
    "consumer_forget",
)


def upgrade() -> None:
    """Add the functions beside those of earlier releases, whose bodies are replaced where they were open."""
    first = importlib.import_module("intent.store.migrations.versions.0001_event_store")
    shapes = importlib.import_module("intent.store.migrations.versions.0004_fixed_shapes")
    run_script(
        "set local lock_timeout = '5s';"
        "alter table {schema}.consumers add column seen_at timestamptz not null default clock_timestamp();"
        "comment on column {schema}.consumers.seen_at is"
        " 'When its instances, partitions or parked streams last changed; see consumer_forget_0010.'"
    )
    # Only their owner may replace functions.
    run_script("grant create on schema {schema} to {log}; set local role {log}")
    run_script(shapes.sql("0010_bound").replace("{settings}", first.SETTINGS))
    for suffix, shape in (("", "0001"), ("_0005", "0005")):
        script = shapes.sql("0010_parked").replace("{settings}", first.SETTINGS)
        run_script(script, suffix=suffix, shape=shape)
    run_script("reset role; revoke create on schema {schema} from {log}")
    script = shapes.sql("0010_pages").replace("{columns}", f"{shapes.COLUMNS}, tracestate")
    shapes.make_functions(script, PAGES, suffix="_0010", shape="0005")


def downgrade() -> None:
    """Refuse: running processes call the functions."""
    raise NotImplementedError("the event store cannot be downgraded; restore a backup instead")
