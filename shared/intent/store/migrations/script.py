"""The SQL of revisions, with the context's schema and roles filled in."""

from __future__ import annotations

from alembic import context, op
from sqlalchemy.util import await_only

from intent.store.roles import quoted

__all__ = ["run_script"]


def run_script(sql: str, **names: str) -> None:
    """Run one or several statements of a revision.

    Args:
        sql: The statements, with ``{schema}``, ``{owner}``, ``{service}``, ``{query}``, ``{log}``
            and ``{projector}`` in place of the context's own names, which are quoted; double a literal brace.
        names: Further names to fill in.
    """
    attributes: dict[str, str] = context.config.attributes["names"]
    own = {kind: quoted(name) for kind, name in attributes.items()}
    driver = op.get_bind().connection.driver_connection
    assert driver is not None
    # A script of several statements needs the simple protocol, which SQLAlchemy does not use.
    await_only(driver.execute(sql.format(**own, **names)))
