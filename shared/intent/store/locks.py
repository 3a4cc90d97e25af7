"""The lock under which a schema changes, which only its owner can hold."""

from __future__ import annotations

from intent.store.roles import quoted

__all__ = ["lock_schema"]


def lock_schema(schema: str) -> str:
    """Return the statement that takes the lock of a schema until the transaction ends.

    A comment on a schema takes a lock that excludes itself, and whoever is not the owner loses it at once.
    Numbers of advisory locks can be guessed, and anybody who may connect can hold them for ever.
    """
    return (
        "do $$ begin execute format('comment on schema %I is %L', "
        f"{_literal(schema)}, obj_description(to_regnamespace({_literal(quoted(schema))}), 'pg_namespace')); "
        "end $$"
    )


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
