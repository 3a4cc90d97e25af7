"""The garbage collector of a process that holds much and makes more."""

from __future__ import annotations

import gc

__all__ = ["relax_garbage_collection"]


def relax_garbage_collection() -> None:
    """Keeps the garbage collector from looking at what stays, and from looking often.

    A process holds thousands of aggregates and makes short-lived messages by the hundred
    thousand; with the default thresholds a third of a rebuild went into looking for cycles.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
