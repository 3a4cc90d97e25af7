"""The workspace that a new context is added to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from intent.cli.exits import UsageError

__all__ = ["Workspace"]

_MARKERS: Final = ("contexts", "proto/buf.yaml", "requirements/intent.txt", ".importlinter", "pyproject.toml")


@dataclass(frozen=True, slots=True)
class Workspace:
    """The repository with the platform and its contexts.

    Attributes:
        root: Its folder.
    """

    root: Path

    @classmethod
    def around(cls, start: Path) -> Workspace:
        """Return the workspace that a folder is in.

        Raises:
            UsageError: The folder is in no workspace.
        """
        for folder in (start, *start.parents):
            if all((folder / marker).exists() for marker in _MARKERS):
                return cls(folder)
        raise UsageError(
            f"{start} is in no workspace of Intent: change into the repository that has contexts/ and proto/"
        )

    @property
    def contexts(self) -> list[str]:
        """The existing contexts."""
        return sorted(path.parent.name for path in self.root.glob("contexts/*/pyproject.toml"))

    def require_free(self, context: str) -> None:
        """Require that nothing has a name yet.

        Raises:
            UsageError: A context or a folder has it.
        """
        if context in self.contexts:
            raise UsageError(
                f"there is a context {context} already, in contexts/{context}; there are: "
                f"{', '.join(self.contexts)}"
            )
        for folder in (f"contexts/{context}", f"proto/{context}", context):
            if (self.root / folder).exists():
                raise UsageError(
                    f"{folder} exists already; remove it, or choose another name for the context"
                )

    def read(self, path: str) -> str:
        """Return the text of a file.

        Args:
            path: The file, from the root of the workspace.

        Raises:
            UsageError: The file cannot be read.
        """
        try:
            return (self.root / path).read_text()
        except OSError as error:
            raise UsageError(f"{path} cannot be read: {error.strerror}") from None
