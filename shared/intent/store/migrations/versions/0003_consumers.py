"""Consumers: their checkpoints, who works on which partition, and what is parked.

Revision ID: 0003
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Final

from intent.store.migrations.script import run_script

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

OF_TENANTS: Final = (
    "consumers",
    "consumer_instances",
    "consumer_partitions",
    "consumer_streams",
    "consumer_drops",
)
TABLES: Final = (*OF_TENANTS, "consumer_workers")
FUNCTIONS: Final = (
    "consumer_beat",
    "consumer_join",
    "consumer_balance",
    "consumer_save",
    "consumer_aside",
    "consumer_read",
    "consumer_list",
    "consumer_parked",
    "consumer_replay",
    "consumer_drop",
    "consumer_remove",
)
HELPERS: Final = ("consumer_guard", "consumer_changed", "partition_of")


def upgrade() -> None:
    """Create the tables, their row security and the only functions that write them."""
    run_script(_sql("0003_tables"))
    for table in OF_TENANTS:
        run_script(_sql("0001_security"), table=table)
    for table in TABLES:
        run_script("grant select, insert, update, delete on {schema}.{table} to {log}", table=table)
    settings = importlib.import_module("intent.store.migrations.versions.0001_event_store").SETTINGS
    for part in ("consumer_delivery", "consumer_operator"):
        run_script(_sql(f"0003_{part}").replace("{settings}", settings))
    _own_functions()


def downgrade() -> None:
    """Refuse: the checkpoints of other services' consumers would be lost."""
    raise NotImplementedError("consumers cannot be downgraded; restore a backup instead")


def _own_functions() -> None:
    """Make the role of the log own the functions, and let the service call them."""
    run_script("grant create on schema {schema} to {log}")
    for function in FUNCTIONS:
        run_script("grant execute on function {schema}.{function} to {service}", function=function)
    for function in (*HELPERS, *FUNCTIONS):
        run_script(
            "revoke all on function {schema}.{function} from public;"
            "alter function {schema}.{function} owner to {log}",
            function=function,
        )
    run_script("revoke create on schema {schema} from {log}")


def _sql(part: str) -> str:
    return (Path(__file__).parent / "sql" / f"{part}.sql").read_text()
