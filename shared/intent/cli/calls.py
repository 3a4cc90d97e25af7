"""Calls of a command to one context or to several at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, TypeVar

from intent.cli.options import CallOptions
from intent.cli.output import echo

if TYPE_CHECKING:
    from intent.client import IntentClient
    from intent.contracts import Registry

__all__ = ["print_missing", "with_client", "with_clients"]

T = TypeVar("T")


def with_client(
    caller: CallOptions, context: str, registry: Registry, work: Callable[[IntentClient], Awaitable[T]]
) -> T:
    """Run work with a client of a context and return its result."""

    async def run() -> T:
        async with caller.connect(context, registry) as client:
            return await work(client)

    return asyncio.run(run())


def with_clients(
    caller: CallOptions, context: str, registry: Registry, work: Callable[[IntentClient], Awaitable[T]]
) -> tuple[dict[str, T], dict[str, str]]:
    """Run work with a client of each context, or of one, side by side.

    A context that is unavailable or refuses does not keep the others from answering.

    Args:
        caller: Where the contexts are, and on whose behalf.
        context: Which one; empty for all.
        registry: The contracts.
        work: Gets each client.

    Returns:
        The results, and the errors of the contexts without one, each by the context's name.

    Raises:
        CommandError: No context answered; the error of the first.
    """
    from intent.errors import CommandError, DeadlineExceeded

    places = caller.places(context)

    async def one(address: str) -> T | CommandError:
        try:
            async with caller.client(address, registry) as client, asyncio.timeout(caller.timeout):
                return await work(client)
        except (TimeoutError, DeadlineExceeded):
            return DeadlineExceeded("NO_ANSWER", f"no answer from {address} within {caller.timeout:g} s")
        except CommandError as error:
            return error

    async def run() -> dict[str, T | CommandError]:
        answers = await asyncio.gather(*(one(address) for address in places.values()))
        return dict(zip(places, answers, strict=True))

    answers = asyncio.run(run())
    errors = {name: answer for name, answer in answers.items() if isinstance(answer, CommandError)}
    if len(errors) == len(answers):
        raise next(iter(errors.values()))
    return (
        {name: answer for name, answer in answers.items() if not isinstance(answer, CommandError)},
        {name: error.message for name, error in errors.items()},
    )


def print_missing(missing: Mapping[str, str]) -> None:
    """Print to standard error which contexts are not shown, and why."""
    for context, why in missing.items():
        echo(f"{context} is not shown: {why}", err=True)
