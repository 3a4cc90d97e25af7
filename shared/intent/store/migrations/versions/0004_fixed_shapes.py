"""Functions whose rows keep their shape, so that columns can be added while processes run.

A function that returns the rows of a table as they are breaks every process that calls it once the
table has another column. So each shape of an entry of the log has a view, and the functions that return
entries are created once for each shape: under their old names for the first, and with the number of a
later revision for the shape that it adds. The old ones stay until a revision drops them.

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
    """Create the functions that return entries again, in the same shape, which is fixed from now on."""
    for function in READING:
        run_script("drop function {schema}.{function}", function=function)
    make_entries("0001", COLUMNS)
    make_functions(sql("0004_read"), READING, suffix="", shape="0001")


def downgrade() -> None:
    """Refuse: running processes call the functions."""
    raise NotImplementedError("the event store cannot be downgraded; restore a backup instead")


def make_entries(shape: str, columns: str) -> None:
    """Create the view of the log's entries in one shape; a role sees the rows that it sees of the log."""
    run_script(
        "create view {schema}.entries_{shape} with (security_invoker = true) as"
        " select {columns} from {schema}.events;"
        "grant select on {schema}.entries_{shape} to {log}, {service}, {query}",
        shape=shape,
        columns=columns,
    )


def make_functions(script: str, functions: Iterable[str], *, suffix: str, shape: str) -> None:
    """Create functions for the service, owned by the role of the log.

    Args:
        script: The statements that create them.
        functions: Their names, without the suffix.
        suffix: What distinguishes them from those for another shape.
        shape: The shape of the entries that they return.
    """
    settings = importlib.import_module("intent.store.migrations.versions.0001_event_store").SETTINGS
    run_script("grant create on schema {schema} to {log}")
    run_script(script.replace("{settings}", settings), suffix=suffix, shape=shape)
    for function in functions:
        run_script(
            "revoke all on function {schema}.{function} from public;"
            "grant execute on function {schema}.{function} to {service};"
            "alter function {schema}.{function} owner to {log}",
            function=f"{function}{suffix}",
        )
    run_script("revoke create on schema {schema} from {log}")


def sql(name: str) -> str:
    """Return a script of the revisions."""
    return (Path(__file__).parent / "sql" / f"{name}.sql").read_text()
