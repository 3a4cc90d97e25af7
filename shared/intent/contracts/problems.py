"""Contradictions, collected so that one message can list them all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from intent.errors import ContractError

__all__ = ["Problem", "Problems"]


@dataclass(frozen=True, slots=True)
class Problem:
    """One contradiction.

    Attributes:
        file: Where it is: a `.proto` file or a Python module.
        subject: The message, method or class that is wrong.
        fault: What is wrong with it.
        fix: What to do about it.
    """

    file: str
    subject: str
    fault: str
    fix: str

    def __str__(self) -> str:
        return f"{self.file}: {self.subject} {self.fault}; {self.fix}"


class Problems:
    """Collects contradictions; the same one twice counts once."""

    def __init__(self) -> None:
        self._found: dict[Problem, None] = {}

    def __iter__(self) -> Iterator[Problem]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)

    def add(self, file: str, subject: str, fault: str, fix: str) -> None:
        """Add a contradiction; see `Problem` for the parts."""
        self._found[Problem(file, subject, fault, fix)] = None

    def extend(self, problems: Problems) -> None:
        """Add the contradictions of another collection."""
        self._found.update(problems._found)

    def refuse(self) -> None:
        """Refuse to continue when anything was found.

        Raises:
            ContractError: Listing every contradiction, in the order of files and subjects.
        """
        if self._found:
            ordered = sorted(self._found, key=lambda p: (p.file, p.subject))
            raise ContractError([str(problem) for problem in ordered])
