"""Create a context: its files, and its entries in the files that name every context."""

from __future__ import annotations

from intent.cli.scaffold.names import ScaffoldNames
from intent.cli.scaffold.plan import ScaffoldPlan
from intent.cli.scaffold.workspace import Workspace

__all__ = ["ScaffoldNames", "ScaffoldPlan", "Workspace"]
