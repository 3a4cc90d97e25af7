"""Alembic's entry point; `intent.store.migrations.migrate` hands over the connection."""

from __future__ import annotations

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    version_table=context.config.attributes["version_table"],
    version_table_schema=context.config.attributes["names"]["schema"],
)
context.run_migrations()
