"""Makes a new context: its files, and its place among the others."""

from __future__ import annotations

from intent.cli.scaffold.names import ScaffoldNames
from intent.cli.scaffold.plan import ScaffoldPlan
from intent.cli.scaffold.workspace import Workspace

__all__ = ["ScaffoldNames", "ScaffoldPlan", "Workspace"]
