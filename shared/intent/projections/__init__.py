"""Read models: how they are declared, kept up to date, rebuilt and read."""

from intent.projections.projection import DELETE, EventMetadata, Projection, ProjectionHandler, projects
from intent.projections.reading import Page, ReadModelReader

__all__ = [
    "DELETE",
    "EventMetadata",
    "Page",
    "Projection",
    "ProjectionHandler",
    "ReadModelReader",
    "projects",
]
