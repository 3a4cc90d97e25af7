"""Runs the SQL of a revision with the context's schema and roles filled in."""

from __future__ import annotations

from alembic import context, op
from sqlalchemy.util import await_only

__all__ = ["run_script"]


def run_script(sql: str, **names: str) -> None:
    """Runs one or several statements of a revision.

    Args:
        sql: The statements, with ``{schema}``, ``{owner}``, ``{service}``, ``{query}``, ``{log}``
            and ``{projector}`` where the context's own names go; a literal brace is doubled.
        names: Further names to fill in.
    """
    known: dict[str, str] = context.config.attributes["names"]
    driver = op.get_bind().connection.driver_connection
    assert driver is not None
    # A script of several statements needs the simple protocol, which SQLAlchemy does not use.
    await_only(driver.execute(sql.format(**known, **names)))
