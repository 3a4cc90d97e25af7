"""The values by which a new context is deployed: those of its plainest neighbour, under its own name."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from intent.cli.scaffold.files import filled
from intent.cli.scaffold.names import ScaffoldNames
from intent.cli.scaffold.workspace import Workspace

__all__ = ["deployment_files"]

_VALUES: Final = "helm/values"
_FACTS: Final = "helm/context/contexts"


def deployment_files(workspace: Workspace, names: ScaffoldNames) -> dict[str, str]:
    """Returns the text of each file with values for Helm, by its path in the workspace.

    They are made from a neighbour's, so that they have the shape that the charts ask for now.
    Nothing, in a workspace without charts or without a neighbour that is deployed.
    """
    plainest = min(_deployed(workspace), key=_size, default=None)
    if plainest is None:
        return {}
    facts = {f"{_FACTS}/{names.context}.yaml": filled("facts.yaml", names.fields())}
    values = {
        f"{_VALUES}/{names.context}/{path.name}": _renamed(path.read_text(), plainest.name, names)
        for path in sorted(plainest.glob("*.yaml"))
    }
    return {**facts, **values}


def _deployed(workspace: Workspace) -> list[Path]:
    """Returns the folders with the values of contexts."""
    folders = (workspace.root / _VALUES / context for context in workspace.contexts)
    return [folder for folder in folders if any(folder.glob("*.yaml"))]


def _size(values: Path) -> int:
    """Returns how much a context has of its own; its name counts for nothing."""
    texts = (path.read_text() for path in values.glob("*.yaml"))
    return sum(len(text) - text.count(values.name) * len(values.name) for text in texts)


def _renamed(text: str, old: str, names: ScaffoldNames) -> str:
    """Returns values with another context's name, written with hyphens in names of Kubernetes."""
    kept = re.escape(old)
    in_kubernetes = re.sub(rf"\b{kept}-", f"{names.hyphenated}-", text)
    return re.sub(rf"\b{kept}\b", names.context, in_kubernetes)
