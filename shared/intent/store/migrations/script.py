"""Runs the SQL of a revision with the context's schema and roles filled in."""

from __future__ import annotations

from alembic import context, op
from sqlalchemy.util import await_only

from intent.store.roles import quoted

__all__ = ["run_script"]


def run_script(sql: str, **names: str) -> None:
    """Runs one or several statements of a revision.

    Args:
        sql: The statements, with ``{schema}``, ``{owner}``, ``{service}``, ``{query}``, ``{log}``
            and ``{projector}`` where the context's own names go, quoted; a literal brace is doubled.
        names: Further names to fill in.
    """
    given: dict[str, str] = context.config.attributes["names"]
    known = {kind: quoted(name) for kind, name in given.items()}
    driver = op.get_bind().connection.driver_connection
    assert driver is not None
    # A script of several statements needs the simple protocol, which SQLAlchemy does not use.
    await_only(driver.execute(sql.format(**known, **names)))
