"""The values by which a new context is deployed: those of its plainest neighbour, under its own name."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from intent.cli.scaffold.files import filled
from intent.cli.scaffold.names import ScaffoldNames
from intent.cli.scaffold.workspace import Workspace

__all__ = ["deployment_edits", "deployment_files"]

_VALUES: Final = "helm/values"
_FACTS: Final = "helm/context/contexts"
_DATABASES: Final = "k8s/dev/databases.yaml"
_BETWEEN: Final = "---\n"
_SECRET: Final = re.compile(r"^  name: (\S+)$", re.MULTILINE)


def deployment_files(workspace: Workspace, names: ScaffoldNames) -> dict[str, str]:
    """Returns the text of each file with values for Helm, by its path in the workspace.

    They are made from a neighbour's, so that they have the shape that the charts ask for now.
    Nothing, in a workspace without charts or without a neighbour that is deployed.
    """
    plainest = _plainest(workspace)
    if plainest is None:
        return {}
    facts = {f"{_FACTS}/{names.context}.yaml": filled("facts.yaml", names.fields())}
    values = {
        f"{_VALUES}/{names.context}/{path.name}": _renamed(
            path.read_text(), plainest.name, names, alone=names.context
        )
        for path in sorted(plainest.glob("*.yaml"))
    }
    return {**facts, **values}


def deployment_edits(workspace: Workspace, names: ScaffoldNames) -> dict[str, str]:
    """Returns the new text of files that say how each context is deployed, by their paths.

    That is how it reaches the database in a cluster for development; nothing where no neighbour does.
    """
    plainest = _plainest(workspace)
    if plainest is None or not (workspace.root / _DATABASES).exists():
        return {}
    documents = workspace.read(_DATABASES).split(_BETWEEN)
    like = next((one for one in documents if f"name: {plainest.name}-database\n" in one), None)
    if like is None:
        return {}
    bare = re.sub(r"\A(#.*\n)+", "", like)
    made = _renamed(bare, plainest.name, names, alone=names.hyphenated)
    # The first one holds what is said of all, so that it stays the first.
    at = next((i for i, one in enumerate(documents) if i and _name(one) > _name(made)), len(documents))
    return {_DATABASES: _BETWEEN.join([*documents[:at], made, *documents[at:]])}


def _name(document: str) -> str:
    found = _SECRET.search(document)
    return found.group(1) if found else ""


def _plainest(workspace: Workspace) -> Path | None:
    """Returns the folder with the values of the context that has least of its own."""
    return min(_deployed(workspace), key=_size, default=None)


def _deployed(workspace: Workspace) -> list[Path]:
    """Returns the folders with the values of contexts."""
    folders = (workspace.root / _VALUES / context for context in workspace.contexts)
    return [folder for folder in folders if any(folder.glob("*.yaml"))]


def _size(values: Path) -> int:
    """Returns how much a context has of its own; its name counts for nothing."""
    texts = (path.read_text() for path in values.glob("*.yaml"))
    return sum(len(text) - text.count(values.name) * len(values.name) for text in texts)


def _renamed(text: str, old: str, names: ScaffoldNames, *, alone: str) -> str:
    """Returns a text with a new context's names instead of another's.

    Args:
        text: The text.
        old: The other context.
        names: The new context's names.
        alone: What stands for it where nothing is joined to it.
    """
    kept = re.escape(old)
    text = re.sub(rf"\b{kept}-", f"{names.hyphenated}-", text)
    text = re.sub(rf"\b{kept}_", f"{names.context}_", text)
    return re.sub(rf"\b{kept}\b", alone, text)
