"""How gRPC's threads share the processors with the event loop."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

__all__ = ["patient_threads"]

_log: Final = logging.getLogger("intent.service")


@contextmanager
def patient_threads() -> Iterator[None]:
    """Let the threads that are started meanwhile wait for their turn when they wake.

    gRPC's threads wake several times for each call, for microseconds, and under Linux's normal
    policy each time preempt the running thread, which on a busy machine is the event loop. Under
    SCHED_BATCH (sched(7)) a thread has the same share of the processors but preempts no other; it
    needs no privilege. A policy that was chosen elsewhere stays, and so does the normal one where
    the kernel refuses the change.
    """
    changed = _change(os.SCHED_OTHER, os.SCHED_BATCH)
    try:
        yield
    finally:
        if changed:
            _change(os.SCHED_BATCH, os.SCHED_OTHER)


def _change(old: int, new: int) -> bool:
    """Replace the policy of this thread, if it is the old one; return whether it did."""
    try:
        if os.sched_getscheduler(0) != old:
            return False
        os.sched_setscheduler(0, new, os.sched_param(0))
    except OSError as error:
        _log.debug("the scheduling policy stays as it is: %s", error)
        return False
    return True
