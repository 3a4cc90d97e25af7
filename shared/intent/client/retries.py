"""Repeats calls that may be repeated, within the caller's time."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeVar

import grpc

from intent.errors import CommandError, DeadlineExceeded, Overloaded, Unavailable
from intent.wire.statuses import error_of_status

__all__ = ["RetryPolicy", "retrying", "told_by"]

T = TypeVar("T")

_LEAST_WAIT: Final = 0.001


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """When to try again; times are in seconds.

    Attributes:
        first: The wait after the first failure.
        factor: By how much each further wait is longer.
        longest: The longest wait that the client chooses itself; the server may ask for more.
    """

    first: float = 0.05
    factor: float = 2.0
    longest: float = 2.0

    def wait(self, failures: int, error: CommandError) -> float:
        """Return how long to wait.

        The server's wish is the least; jitter on top keeps many clients from coming back at
        the same moment.

        Args:
            failures: How often it has failed, from 1 up.
            error: How it failed.
        """
        own = min(self.longest, self.first * self.factor ** (failures - 1))
        if error.retry_after_ms > 0:
            return error.retry_after_ms / 1000 + random.uniform(0, own)  # noqa: S311 - no secret
        return random.uniform(own / 2, own)  # noqa: S311 - no secret


def told_by(error: grpc.aio.AioRpcError) -> CommandError:
    """Return the exception of the platform that a gRPC error stands for."""
    trailers = tuple(error.trailing_metadata() or ())
    return error_of_status(error.code(), error.details() or "", trailers)


async def retrying(
    attempt: Callable[[float], Awaitable[T]], timeout: float, policy: RetryPolicy, what: str
) -> T:
    """Call until there is an answer that repeating would not change.

    Repeated are `Unavailable` (also a lost connection) and `Overloaded`.

    Args:
        attempt: Makes one call; takes the seconds that are left.
        timeout: Seconds in all.
        policy: When to try again.
        what: What is called, for the message.

    Raises:
        CommandError: The answer, or `DeadlineExceeded` with the last failure as its cause.
    """
    clock = asyncio.get_running_loop().time
    end = clock() + timeout
    failures = 0
    while True:
        try:
            return await attempt(max(_LEAST_WAIT, end - clock()))
        except grpc.aio.AioRpcError as rpc_error:
            error = told_by(rpc_error)
            if not isinstance(error, Unavailable | Overloaded):
                raise error from None
        failures += 1
        wait = policy.wait(failures, error)
        if clock() + wait >= end:
            raise _out_of_time(what, timeout, failures, error) from error
        await asyncio.sleep(wait)


def _out_of_time(what: str, timeout: float, failures: int, error: CommandError) -> DeadlineExceeded:
    times = "once" if failures == 1 else f"{failures} times"
    return DeadlineExceeded(
        "DEADLINE_EXCEEDED",
        f"{what} got no answer within {timeout:g} s; tried {times}, at last: {error}",
        metadata={"last_reason": error.reason},
    )
