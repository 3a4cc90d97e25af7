"""Plan a new context: its files, and the edits of files that name every context."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from intent.cli.exits import UsageError
from intent.cli.scaffold.deployment import deployment_edits, deployment_files
from intent.cli.scaffold.entries import EDITS
from intent.cli.scaffold.files import new_files
from intent.cli.scaffold.names import ScaffoldNames
from intent.cli.scaffold.workspace import Workspace

__all__ = ["ScaffoldPlan"]

_PLATFORM_PINS: Final = "requirements/intent.txt"


@dataclass(frozen=True, slots=True)
class ScaffoldPlan:
    """The files that a new context writes.

    Attributes:
        names: The names of the context.
        root: The folder of the workspace.
        created: The texts of new files, by their paths from the root.
        changed: The new texts of existing files, by their paths from the root.
    """

    names: ScaffoldNames
    root: Path
    created: dict[str, str] = field(default_factory=dict)
    changed: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, workspace: Workspace, context: str, aggregate: str = "") -> ScaffoldPlan:
        """Return the plan of a context, without writing anything.

        Args:
            workspace: Where it is added.
            context: Its name.
            aggregate: The name of its aggregate; by default derived from its own.

        Raises:
            UsageError: A name cannot be used, or a file or folder exists already.
        """
        workspace.require_free(context)
        names = ScaffoldNames.of(context, aggregate)
        created = {**new_files(names), **deployment_files(workspace, names)}
        # A context that needs only the platform has the same pins.
        created[f"requirements/{context}.txt"] = workspace.read(_PLATFORM_PINS)
        taken = [path for path in created if (workspace.root / path).exists()]
        if taken:
            raise UsageError(f"{', '.join(taken)} exists already; nothing was written")
        changed = {path: edit(workspace.read(path), names) for path, edit in EDITS.items()}
        changed |= deployment_edits(workspace, names)
        return cls(names, workspace.root, created, changed)

    def write(self) -> None:
        """Write every file, or none: if one cannot be written, undo the others.

        Raises:
            UsageError: A file cannot be written.
        """
        before = {path: (self.root / path).read_text() for path in self.changed}
        written: list[str] = []
        try:
            for path, text in {**self.created, **self.changed}.items():
                (self.root / path).parent.mkdir(parents=True, exist_ok=True)
                (self.root / path).write_text(text)
                written.append(path)
        except OSError as error:
            self._undo(written, before)
            raise UsageError(
                f"{error.filename} cannot be written: {error.strerror}; nothing was changed"
            ) from None

    def _undo(self, written: list[str], before: dict[str, str]) -> None:
        for path in written:
            if path in before:
                (self.root / path).write_text(before[path])
            else:
                (self.root / path).unlink()
        for path in self.created:
            _remove_empty((self.root / path).parent, self.root)


def _remove_empty(folder: Path, root: Path) -> None:
    while folder != root and folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
        folder = folder.parent
