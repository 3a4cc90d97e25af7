"""A projection together with the table that its contract describes: what the runner works with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from intent.model import BoundContext, Projection
from intent.read_models.shape import TableShape

__all__ = ["Definition", "definitions_of"]


@dataclass(frozen=True, slots=True)
class Definition:
    """A projection and its table.

    Attributes:
        projection: The projection.
        shape: The table of its read model.
    """

    projection: Projection[Any]
    shape: TableShape

    @property
    def name(self) -> str:
        """The projection's name."""
        return self.projection.name

    @property
    def version(self) -> int:
        """The version of the projection's code."""
        return self.projection.version


def definitions_of(context: BoundContext) -> tuple[Definition, ...]:
    """Return the definitions of a context's projections."""
    read_models = context.registry.read_models
    return tuple(
        Definition(projection(), TableShape.of(read_models[projection.read_model.DESCRIPTOR.full_name]))
        for projection in context.projections
    )
