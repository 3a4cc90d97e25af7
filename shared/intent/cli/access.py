"""Who may call what, role by role, as a table or as JSON."""

from __future__ import annotations

from dataclasses import asdict
from itertools import groupby
from typing import TYPE_CHECKING, Final

from intent.cli.output import echo_json

if TYPE_CHECKING:
    from intent.contracts import Registry
    from intent.service.access import AccessRow

__all__ = ["print_access"]

_TITLES: Final = {"*": "Any authenticated caller", "anybody": "Anybody, without saying who it is"}


def print_access(registry: Registry, context: str, *, as_json: bool) -> None:
    """Print what each role may do.

    Args:
        registry: The contracts.
        context: Only commands and queries of this context, and the platform's methods; empty: of all.
        as_json: Whether to print JSON.
    """
    from intent.service.access import access_rows

    rows = [row for row in access_rows(registry) if not context or row.context in ("", context)]
    if as_json:
        echo_json([asdict(row) for row in rows])
        return
    for role, own in groupby(rows, key=lambda row: row.role):
        _print_role(role, list(own))


def _print_role(role: str, rows: list[AccessRow]) -> None:
    from intent.cli.tables import print_table

    print_table(
        ("May call", "Kind", "Limited to"),
        ((row.name, row.kind, row.limit) for row in rows),
        title=_TITLES.get(role, f"Role {role}"),
        unwrapped=("May call", "Kind"),
    )
