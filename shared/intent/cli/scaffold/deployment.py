"""The deployment of a new context: the values of its simplest neighbour, under its own name."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from intent.cli.scaffold.files import fill_template
from intent.cli.scaffold.names import ScaffoldNames
from intent.cli.scaffold.workspace import Workspace

__all__ = ["deployment_edits", "deployment_files"]

_VALUES: Final = "helm/values"
_FACTS: Final = "helm/context/contexts"
_DATABASES: Final = "k8s/dev/databases.yaml"
_BETWEEN: Final = "---\n"
_SECRET: Final = re.compile(r"^  name: (\S+)$", re.MULTILINE)


def deployment_files(workspace: Workspace, names: ScaffoldNames) -> dict[str, str]:
    """Return the text of each file with values for Helm, by its path in the workspace.

    They are copied from a neighbour's, so that they have the shape that the charts need now. There are
    none in a workspace without charts or without a neighbour that is deployed.
    """
    simplest = _simplest(workspace)
    if simplest is None:
        return {}
    facts = {f"{_FACTS}/{names.context}.yaml": fill_template("facts.yaml", names.fields())}
    values = {
        f"{_VALUES}/{names.context}/{path.name}": _renamed(
            path.read_text(), simplest.name, names, alone=names.context
        )
        for path in sorted(simplest.glob("*.yaml"))
    }
    return {**facts, **values}


def deployment_edits(workspace: Workspace, names: ScaffoldNames) -> dict[str, str]:
    """Return the new text of files that say how each context is deployed, by their paths.

    The only one says how a context reaches its database in a cluster for development; there is none if
    no neighbour is in it.
    """
    simplest = _simplest(workspace)
    if simplest is None or not (workspace.root / _DATABASES).exists():
        return {}
    documents = workspace.read(_DATABASES).split(_BETWEEN)
    like = next((each for each in documents if f"name: {simplest.name}-database\n" in each), None)
    if like is None:
        return {}
    bare = re.sub(r"\A(#.*\n)+", "", like)
    document = _renamed(bare, simplest.name, names, alone=names.hyphenated)
    # The first document starts with the comment on the whole file, so it stays the first.
    index = next(
        (i for i, each in enumerate(documents) if i and _name(each) > _name(document)), len(documents)
    )
    return {_DATABASES: _BETWEEN.join([*documents[:index], document, *documents[index:]])}


def _name(document: str) -> str:
    match = _SECRET.search(document)
    return match.group(1) if match else ""


def _simplest(workspace: Workspace) -> Path | None:
    """Return the folder with the values of the context that has the fewest of its own."""
    return min(_deployed(workspace), key=_size, default=None)


def _deployed(workspace: Workspace) -> list[Path]:
    """Return the folders with the values of contexts."""
    folders = (workspace.root / _VALUES / context for context in workspace.contexts)
    return [folder for folder in folders if any(folder.glob("*.yaml"))]


def _size(values: Path) -> int:
    """Return the size of a context's values, without the mentions of its name."""
    texts = (path.read_text() for path in values.glob("*.yaml"))
    return sum(len(text) - text.count(values.name) * len(values.name) for text in texts)


def _renamed(text: str, old: str, names: ScaffoldNames, *, alone: str) -> str:
    """Return a text with a new context's names instead of another's.

    Args:
        text: The text.
        old: The other context.
        names: The new context's names.
        alone: The new context's name where it is a word of its own.
    """
    kept = re.escape(old)
    text = re.sub(rf"\b{kept}-", f"{names.hyphenated}-", text)
    text = re.sub(rf"\b{kept}_", f"{names.context}_", text)
    return re.sub(rf"\b{kept}\b", alone, text)
