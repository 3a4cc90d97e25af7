"""A projection together with what its contracts say: what the runner works with, pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from intent.contracts import ReadModelContract
from intent.projections.projection import Projection
from intent.projections.shape import TableShape

__all__ = ["Definition", "key_problems"]


@dataclass(frozen=True, slots=True)
class Definition:
    """A projection and its table.

    Attributes:
        projection: The projection.
        shape: The table of its read model.
    """

    projection: Projection[Any]
    shape: TableShape

    @classmethod
    def of(
        cls, projection: type[Projection[Any]], read_models: Mapping[str, ReadModelContract]
    ) -> Definition:
        """Returns the definition of a projection.

        Args:
            projection: Its class.
            read_models: The registry's read models, by full name.
        """
        contract = read_models[projection.read_model.DESCRIPTOR.full_name]
        return cls(projection(), TableShape.of(contract))

    @property
    def name(self) -> str:
        """The projection's name."""
        return self.projection.name

    @property
    def version(self) -> int:
        """The version of the projection's code."""
        return self.projection.version


def key_problems(projection: type[Projection[Any]], contract: ReadModelContract) -> Iterator[tuple[str, str]]:
    """Yields fault and mend of each handler that does not tell which row its event concerns."""
    key = TableShape.of(contract).key
    if len(key) == 1 and key[0].sql_type == "text":
        return
    for handler in projection.handlers.values():
        if handler.keys is None:
            fault = f"{handler.method.__name__} does not tell the key of its row"
            names = ", ".join(column.name for column in key)
            yield fault, f"use @projects(key=...) with the values of {names}"
