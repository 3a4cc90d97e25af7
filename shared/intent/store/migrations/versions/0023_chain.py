"""Chains of digests over the log and the audit, which show what was changed afterwards.

Revision ID: 0023
"""

from __future__ import annotations

import importlib
from typing import Final

from intent.store.migrations.script import run_script

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

CHAINED: Final = {
    "events": (
        "head",
        "position tenant aggregate_type aggregate_id version event_id type schema_version data command_id"
        " correlation_id causation_id actor traceparent recorded_at tracestate",
    ),
    "audit": (
        "audit_head",
        "position tenant kind method actor peer reason target correlation_id times since recorded_at",
    ),
}
"""The tables, with the head of each and its columns in the order of the encoding 1, which stays as it is."""
READING: Final = ("chain_heads", "chain_links", "chain_set_backs")
_LOCKS: Final = """
set local lock_timeout = '5s';
set local role {log};
select from {schema}.head for no key update;
select from {schema}.audit_head for no key update;
reset role;
"""
"""Appends lock the head first and then the log, so this does too; what is appended next is chained."""


def upgrade() -> None:
    """Begin both chains after what is recorded now, and let each append extend them."""
    shapes = importlib.import_module("intent.store.migrations.versions.0004_fixed_shapes")
    run_script(_LOCKS)
    script = shapes.sql("0023_chain")
    for table, (head, names) in CHAINED.items():
        columns = ", ".join(f"e.{name}" for name in names.split())
        run_script(script, table=table, head=head, columns=columns)
    shapes.make_functions(shapes.sql("0023_chain_read"), READING, suffix="_0023", shape="0005")


def downgrade() -> None:
    """Refuse: changes would go unnoticed again."""
    raise NotImplementedError("the chain cannot be downgraded; restore a backup instead")
