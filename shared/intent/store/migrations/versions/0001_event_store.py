"""The event store: log, commands, snapshots, and the only functions that write them.

Revision ID: 0001
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from intent.store.migrations.script import run_script

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TABLES: Final = ("events", "commands", "snapshots")
FUNCTIONS: Final = ("append", "load", "read_log", "read_positions", "read_stream", "log_position")

# The functions run as the role of the log and trust no search path. Their plans are made once, often
# while the tables are still empty, and must not scan the whole table once it has grown.
SETTINGS: Final = (
    "security definer set search_path = {schema}, pg_temp"
    " set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_bitmapscan = off"
)


def upgrade() -> None:
    """Create the tables, their row security and the functions."""
    run_script(_sql("tables"))
    run_script("grant usage on schema {schema} to {log}, {service}, {query}, {projector}")
    for table in TABLES:
        run_script(_sql("security"), table=table)
    run_script("grant select, update on {schema}.head to {log}")
    run_script("grant update on {schema}.snapshots to {log}")
    for part in ("append", "read"):
        run_script(_sql(part).replace("{settings}", SETTINGS))
    _own_functions()


def downgrade() -> None:
    """Refuse: the log is the source of truth, and nothing may drop it."""
    raise NotImplementedError("the event store cannot be downgraded; restore a backup instead")


def _own_functions() -> None:
    """Make the role of the log own the functions, and let the service call them."""
    run_script("grant create on schema {schema} to {log}")
    for function in FUNCTIONS:
        run_script(
            "revoke all on function {schema}.{function} from public;"
            "grant execute on function {schema}.{function} to {service};"
            "alter function {schema}.{function} owner to {log}",
            function=function,
        )
    run_script("revoke create on schema {schema} from {log}")


def _sql(part: str) -> str:
    return (Path(__file__).parent / "sql" / f"0001_{part}.sql").read_text()
