"""Which errors are retried, for how long, and which never.

- **handle** is retried while the store is unavailable, after a time-out and after a defect of the
  platform itself, without end, with pauses from 0.1 s doubling to 5 s. A rejection, a broken contract,
  an unexpected version and a handler that raises are outcomes and never retried. A command at which the
  platform fails is first set apart from its batch.
  What was set apart from its batch because only a newer release can read it is not retried in the same
  process: its workflow starts over for any process, after 2 s to 5 minutes.
- **project** is tried three times while the store is unavailable; the projection's own loop continues
  by itself. A projection that raises has its own backoff and fails nothing.
- **route** waits for the follower, which has retries of its own; it is retried while the store is
  unavailable, with pauses from 0.1 s doubling to 30 s.
- **route_command** is retried by the workflow that calls it, while the target is unavailable; a
  rejection is its outcome. A saga tries once within its own process, for 7 s, then leaves the retries
  to the server, without end, with pauses from 0.2 s doubling to 30 s.
- **a port** of a context is called again until it answers, without end, with pauses from 0.5 s
  doubling to 60 s.

Repeating a step is harmless: commands have ids, projections checkpoints, deliveries event ids.
"""

from __future__ import annotations

from datetime import timedelta

from temporalio.common import RetryPolicy

__all__ = [
    "APART_TIMEOUT",
    "HANDLE_RETRY",
    "HANDLE_TIMEOUT",
    "ONCE",
    "PORT_GRACE",
    "PORT_HEARTBEAT",
    "PORT_RETRY",
    "PROJECT_RETRY",
    "PROJECT_TIMEOUT",
    "QUICK_ROUTE_TIMEOUT",
    "ROUND",
    "ROUTE_RETRY",
    "ROUTE_TIMEOUT",
    "SLOW_ROUTE_RETRY",
    "SLOW_ROUTE_TIMEOUT",
]


def _doubling(first: float, longest: float, *, attempts: int = 0) -> RetryPolicy:
    """Return retries with pauses that double, in seconds; with 0 attempts, without end."""
    return RetryPolicy(
        initial_interval=timedelta(seconds=first),
        backoff_coefficient=2,
        maximum_interval=timedelta(seconds=longest),
        maximum_attempts=attempts,
    )


HANDLE_RETRY = _doubling(0.1, 5)
HANDLE_TIMEOUT = timedelta(seconds=30)

APART_TIMEOUT = timedelta(minutes=4)
"""For commands that were set apart from their batch: restoring from a long stream takes its time."""

ROUND = timedelta(minutes=5)
"""How long a step that must be done is tried before it starts over, so that history can be checked."""

PROJECT_RETRY = _doubling(0.1, 1, attempts=3)
PROJECT_TIMEOUT = timedelta(seconds=10)

ROUTE_RETRY = _doubling(0.1, 30)
ROUTE_TIMEOUT = timedelta(seconds=30)

ONCE = RetryPolicy(maximum_attempts=1)
QUICK_ROUTE_TIMEOUT = timedelta(seconds=7)

SLOW_ROUTE_RETRY = _doubling(0.2, 30)
SLOW_ROUTE_TIMEOUT = timedelta(seconds=12)
"""A little longer than the router waits; after a kill the server retries within this time."""

PORT_RETRY = _doubling(0.5, 60)
PORT_GRACE = timedelta(seconds=5)
"""How much later than the caller's process the server ends an attempt that takes too long."""
PORT_HEARTBEAT = timedelta(seconds=5)
"""After so long without a heartbeat a call counts as lost with its process, and is made again."""
