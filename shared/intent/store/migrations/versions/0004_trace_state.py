"""The state of an event's trace; what a process calls keeps the shape that its release knows.

A function must not return the rows of a table as they happen to be, or the next column breaks every
process that runs while it is added. So from here on there is a view for each shape of an entry, and a
function that returns another shape has another name, with the number of the revision that made it. The
functions of the releases before stay, until a later revision drops them.

Revision ID: 0004
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from intent.store.migrations.script import run_script

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

READING: Final = ("read_log", "read_positions", "read_stream", "consumer_read", "consumer_parked")
COLUMNS: Final = (
    "position, tenant, aggregate_type, aggregate_id, version, event_id, type, schema_version, data,"
    " command_id, correlation_id, causation_id, actor, traceparent, recorded_at"
)


def upgrade() -> None:
    """Adds the column, keeps the old functions in their old shape, and creates those of the new one."""
    settings = importlib.import_module("intent.store.migrations.versions.0001_event_store").SETTINGS
    append, read = (_sql(part).replace("{settings}", settings) for part in ("append", "read"))
    run_script("grant create on schema {schema} to {log}")
    for function in READING:
        run_script("drop function {schema}.{function}", function=function)
    _make_entries("0001", COLUMNS)
    run_script(read, suffix="", shape="0001")
    _own_functions(READING)
    # This waits for whoever reads or appends, and nobody gets past it: from here on it must be quick.
    run_script("alter table {schema}.events add column tracestate text not null default ''")
    _make_entries("0004", f"{COLUMNS}, tracestate")
    run_script(append + read, suffix="_0004", shape="0004")
    _own_functions([f"{function}_0004" for function in ("append", *READING)])
    run_script("revoke create on schema {schema} from {log}")


def downgrade() -> None:
    """Refuses: the column may hold what nothing else does."""
    raise NotImplementedError("the log is not taken back; restore a backup instead")


def _make_entries(shape: str, columns: str) -> None:
    """Makes the view of the log's entries in one shape; who reads it sees what he sees of the log."""
    run_script(
        "create view {schema}.entries_{shape} with (security_invoker = true) as"
        " select {columns} from {schema}.events;"
        "grant select on {schema}.entries_{shape} to {log}, {service}, {query}",
        shape=shape,
        columns=columns,
    )


def _own_functions(functions: Iterable[str]) -> None:
    """Hands the functions to the role of the log, and the service the right to call them."""
    for function in functions:
        run_script(
            "revoke all on function {schema}.{function} from public;"
            "grant execute on function {schema}.{function} to {service};"
            "alter function {schema}.{function} owner to {log}",
            function=function,
        )


def _sql(part: str) -> str:
    return (Path(__file__).parent / "sql" / f"0004_{part}.sql").read_text()
