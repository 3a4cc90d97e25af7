"""The metrics of a projection."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ProjectionCounters"]


@dataclass(slots=True)
class ProjectionCounters:
    """The metrics of one projection in this process; the counts only grow.

    Attributes:
        name: The projection's name.
        position: The position that it has reached.
        lag: How many events it is behind the log, as the database has last reported its end.
        events: How many events were applied, rebuilds included.
        rows: How many rows were written or removed, rebuilds included.
        failures: How often an event failed.
        failing: True while an event fails, or while only other code may write the rows.
        rebuilding: True while this process rebuilds it.
    """

    name: str
    position: int = 0
    lag: int = 0
    events: int = 0
    rows: int = 0
    failures: int = 0
    failing: bool = False
    rebuilding: bool = False
