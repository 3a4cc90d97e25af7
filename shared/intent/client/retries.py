"""Retries calls that may be retried, within the caller's timeout."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeVar

import grpc

from intent.errors import CommandError, DeadlineExceeded, Overloaded, Unavailable
from intent.wire.statuses import error_of_status

__all__ = ["LEAST_WAIT", "RetryPolicy", "platform_error", "retrying"]

T = TypeVar("T")

LEAST_WAIT: Final = 0.001
"""The shortest time limit, in seconds: gRPC takes none that has passed."""
_OWN_DEADLINE: Final = "Deadline Exceeded"
"""What gRPC says, under several codes, when the caller's own time is over."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """When to retry; times are in seconds.

    Attributes:
        first: The wait after the first failure.
        factor: By how much each further wait is longer.
        longest: The longest wait that the client chooses by itself; the server may ask for more.
    """

    first: float = 0.05
    factor: float = 2.0
    longest: float = 2.0

    def wait(self, failures: int, error: CommandError) -> float:
        """Return how long to wait.

        The wait is at least what the server asks for; jitter on top keeps many clients from
        retrying at the same moment.

        Args:
            failures: How often the call has failed, from 1 up.
            error: The last failure.
        """
        own = min(self.longest, self.first * self.factor ** (failures - 1))
        if error.retry_after_ms > 0:
            return error.retry_after_ms / 1000 + random.uniform(0, own)  # noqa: S311 - no secret
        return random.uniform(own / 2, own)  # noqa: S311 - no secret


def platform_error(error: grpc.aio.AioRpcError) -> CommandError:
    """Return the platform's exception for a gRPC error."""
    trailers = tuple(error.trailing_metadata() or ())
    return error_of_status(error.code(), error.details() or "", trailers)


async def retrying(
    attempt: Callable[[float], Awaitable[T]], timeout: float, policy: RetryPolicy, what: str
) -> T:
    """Call until there is an answer that a retry would not change.

    `Unavailable` (which includes a lost connection) and `Overloaded` are retried.

    Args:
        attempt: Makes one call; takes the seconds that are left. It may raise `Unavailable` itself.
        timeout: Seconds in total.
        policy: When to retry.
        what: What is called, for the message.

    Raises:
        CommandError: The answer, or `DeadlineExceeded` with the last failure as its cause.
    """
    clock = asyncio.get_running_loop().time
    end = clock() + timeout
    failures = 0
    error: CommandError
    last: CommandError | None = None
    while True:
        try:
            return await attempt(max(LEAST_WAIT, end - clock()))
        except grpc.aio.AioRpcError as rpc_error:
            if _OWN_DEADLINE in (rpc_error.details() or ""):
                raise _out_of_time(what, timeout, failures, last) from last
            error = last = platform_error(rpc_error)
            if not isinstance(error, Unavailable | Overloaded):
                raise error from None
        except Unavailable as unavailable:
            error = last = unavailable
        failures += 1
        wait = policy.wait(failures, error)
        if clock() + wait >= end:
            raise _out_of_time(what, timeout, failures, error) from error
        await asyncio.sleep(wait)


def _out_of_time(what: str, timeout: float, failures: int, last: CommandError | None) -> DeadlineExceeded:
    message = f"{what} got no answer within {timeout:g} s"
    if last is None:
        return DeadlineExceeded("DEADLINE_EXCEEDED", message)
    times = "once" if failures == 1 else f"{failures} times"
    return DeadlineExceeded(
        "DEADLINE_EXCEEDED",
        f"{message}; failed {times}, last error: {last}",
        metadata={"last_reason": last.reason},
    )
