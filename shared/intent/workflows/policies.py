"""Which errors are retried, for how long, and which never.

| step | retried | for how long | never |
|---|---|---|---|
| handle | the store away, a time-out, a defect of the platform itself | without end, 0.1 s doubling to 5 s | a rejection, a broken contract, an unexpected version, a handler that raises: these are outcomes |
| project | the store away | 3 tries; the projection's own loop goes on by itself | a projection that raises: it has its own backoff |
| route | Temporal or the store away | without end, 0.1 s doubling to 30 s | a saga that is over: the event is late, not lost |
| route_command | the target away | by the workflow that calls it | a rejection: it is the outcome |

Repeating a step is harmless: commands carry ids, projections checkpoints, deliveries event ids.
"""

from __future__ import annotations

from datetime import timedelta

from temporalio.common import RetryPolicy

__all__ = [
    "HANDLE_RETRY",
    "HANDLE_TIMEOUT",
    "PROJECT_RETRY",
    "PROJECT_TIMEOUT",
    "ROUTE_RETRY",
    "ROUTE_TIMEOUT",
]

HANDLE_RETRY = RetryPolicy(
    initial_interval=timedelta(milliseconds=100), backoff_coefficient=2, maximum_interval=timedelta(seconds=5)
)
HANDLE_TIMEOUT = timedelta(seconds=30)

PROJECT_RETRY = RetryPolicy(
    initial_interval=timedelta(milliseconds=100),
    backoff_coefficient=2,
    maximum_interval=timedelta(seconds=1),
    maximum_attempts=3,
)
PROJECT_TIMEOUT = timedelta(seconds=10)

ROUTE_RETRY = RetryPolicy(
    initial_interval=timedelta(milliseconds=100),
    backoff_coefficient=2,
    maximum_interval=timedelta(seconds=30),
)
ROUTE_TIMEOUT = timedelta(seconds=30)
