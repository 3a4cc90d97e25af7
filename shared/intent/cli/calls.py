"""Calls of a command to one context or to several at once, and what to say of those without an answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import TYPE_CHECKING, TypeVar

import typer

from intent.cli.connection import CallOptions, problems_at
from intent.cli.exits import Exit, exit_of
from intent.cli.output import echo

if TYPE_CHECKING:
    from intent.client import IntentClient
    from intent.contracts import Registry
    from intent.errors import CommandError

__all__ = ["answered_by", "print_missing", "require_all", "require_results", "with_client", "with_clients"]

T = TypeVar("T")


def with_client(
    caller: CallOptions, context: str, registry: Registry, work: Callable[[IntentClient], Awaitable[T]]
) -> T:
    """Run work with a client of a context and return its result.

    Raises:
        CommandError: There was none; the message says what the context itself lacks, where that is known.
    """
    from intent.errors import CommandError

    address = caller.address(context)

    async def run() -> T:
        await caller.prepare()
        async with caller.client(address, registry) as client:
            try:
                return await work(client)
            except CommandError as error:
                raise await _explained(error, address) from error

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
        work: Gets each client; each of its calls takes at most the caller's timeout.

    Returns:
        The results, and the errors of the contexts without one, each by the context's name.

    Raises:
        CommandError: The only context gave no answer.
        Exit: No context of several answered; their errors are printed.
    """
    places = caller.places(context)

    async def one(address: str) -> T | CommandError:
        async with caller.client(address, registry) as client:
            return await answered_by(address, work(client), caller.timeout)

    async def run() -> dict[str, T | CommandError]:
        await caller.prepare()
        answers = await asyncio.gather(*(one(address) for address in places.values()))
        return dict(zip(places, answers, strict=True))

    return _divided(asyncio.run(run()))


async def answered_by(address: str, answer: Awaitable[T], timeout: float) -> T | CommandError:
    """Return a context's answer or its error, which says what the context lacks, where that is known.

    Args:
        address: Where it is served.
        answer: What waits for the answer.
        timeout: How long a call may take, in seconds, for the message.
    """
    from intent.errors import CommandError, DeadlineExceeded

    try:
        return await answer
    except (TimeoutError, DeadlineExceeded) as late:
        last = f"; last error: {late.__cause__}" if isinstance(late.__cause__, CommandError) else ""
        message = f"no answer from {address} within {timeout:g} s{last}"
        error: CommandError = DeadlineExceeded("NO_ANSWER", message)
    except CommandError as refusal:
        error = refusal
    return await _explained(error, address)


async def _explained(error: CommandError, address: str) -> CommandError:
    """Add to an error what the context reports of itself."""
    from intent.errors import DeadlineExceeded, Unavailable

    if isinstance(error, DeadlineExceeded | Unavailable):
        problems = await asyncio.to_thread(problems_at, address)
        if problems:
            error.message += f"; {problems}"
    return error


def _divided(answers: Mapping[str, T | CommandError]) -> tuple[dict[str, T], dict[str, str]]:
    """Divide answers into results and the texts of errors; see `with_clients`."""
    from intent.errors import CommandError

    errors = {name: answer for name, answer in answers.items() if isinstance(answer, CommandError)}
    results = {name: answer for name, answer in answers.items() if not isinstance(answer, CommandError)}
    if not results:
        _end_without(errors)
    return results, _texts(errors)


def _texts(errors: Mapping[str, CommandError]) -> dict[str, str]:
    return {name: str(error) for name, error in errors.items()}


def _end_without(errors: Mapping[str, CommandError]) -> None:
    """End the command with the errors of all contexts, if there is one."""
    for first in errors.values():
        if len(errors) == 1:
            raise first
        print_missing(_texts(errors))
        raise typer.Exit(exit_of(first))


def require_results(answering: Collection[str], errors: Mapping[str, CommandError]) -> None:
    """End the command with the errors if no context answered, and as incomplete if some did not.

    Args:
        answering: The contexts that answered, those among them that later failed.
        errors: The errors of those that did not, or failed later.

    Raises:
        CommandError: The only context gave no answer.
        Exit: Not every context is shown; the errors are printed.
    """
    if not answering:
        _end_without(errors)
    require_all(_texts(errors))


def print_missing(missing: Mapping[str, str]) -> None:
    """Print to standard error which contexts are not shown, and why."""
    for context, why in missing.items():
        echo(f"{context} is not shown: {why}", err=True)


def require_all(missing: Mapping[str, str]) -> None:
    """End the command as incomplete if a context is not shown, and print which, and why.

    Raises:
        Exit: Not every context is shown.
    """
    print_missing(missing)
    if missing:
        raise typer.Exit(Exit.INCOMPLETE)
