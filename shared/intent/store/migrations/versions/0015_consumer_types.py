"""Event types belong to a consumer, not to each of its instances.

Revision ID: 0015
"""

from __future__ import annotations

import importlib
from typing import Final

from intent.store.migrations.script import run_script

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

HELPERS: Final = ("consumer_covers", "consumer_wanted")
_COLUMNS: Final = """
    set local lock_timeout = '5s';
    alter table {schema}.consumers
        add column types_revision bigint not null default 0,
        add column orphaned_at timestamptz;
    alter table {schema}.consumer_partitions add column types_revision bigint not null default 0;
    alter table {schema}.consumer_instances add column types text[];
    comment on table {schema}.consumers is
        'The consumers of other services; the tenant * stands for all. Types are those that its instances'
        ' want, all together; the revision moves with each change of members, free partitions or parked'
        ' streams.';
    comment on column {schema}.consumers.types_revision is 'Moves when types are added.';
    comment on column {schema}.consumers.orphaned_at is
        'Since when no instance wants some of the types; they are forgotten after a while.';
    comment on column {schema}.consumer_partitions.types_revision is
        'The types of the consumer that its owner knew when it got the partition.';
    comment on column {schema}.consumer_instances.types is
        'The types that it wants; empty: all; null: unknown, since it joined while this column was added.'
"""


def upgrade() -> None:
    """Add the columns, and replace functions of consumers in the same shape."""
    first = importlib.import_module("intent.store.migrations.versions.0001_event_store")
    shapes = importlib.import_module("intent.store.migrations.versions.0004_fixed_shapes")
    run_script(_COLUMNS)
    # Only their owner may replace functions, and it alone sees the rows of all tenants.
    run_script("grant create on schema {schema} to {log}; set local role {log}")
    run_script(
        "update {schema}.consumer_instances i set types = c.types from {schema}.consumers c"
        " where c.tenant = i.tenant and c.name = i.consumer"
    )
    run_script(shapes.sql("0015_consumer_types").replace("{settings}", first.SETTINGS))
    for function in (*HELPERS, "consumer_balance_0015"):
        run_script("revoke all on function {schema}.{function} from public", function=function)
    run_script("grant execute on function {schema}.consumer_balance_0015 to {service}")
    run_script("reset role; revoke create on schema {schema} from {log}")


def downgrade() -> None:
    """Refuse: running processes call the functions."""
    raise NotImplementedError("the event store cannot be downgraded; restore a backup instead")
