"""How a command ends: exit codes, and one clear sentence for each error."""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum

__all__ = ["Exit", "IncompleteError", "UsageError", "error_lines", "exit_of"]


class Exit(IntEnum):
    """The exit codes of `intent`."""

    DONE = 0
    """The command succeeded."""
    REFUSED = 1
    """The command or query was refused; it had no effect."""
    USAGE = 2
    """The arguments or the JSON are wrong."""
    CONFIGURATION = 3
    """Settings, contracts, a port or a program must be fixed."""
    UNAVAILABLE = 4
    """A service does not answer."""
    FAILED = 5
    """Something failed."""
    INCOMPLETE = 6
    """What is shown is not all: a context gave no answer, or there is more."""
    INTERRUPTED = 130
    """Ctrl-C ended the command."""
    NOT_READ = 141
    """What reads the output has gone, as after ``| head``."""


class IncompleteError(Exception):
    """What was asked for was not found, and not everything answered; the message says what did not."""


class UsageError(Exception):
    """Arguments or JSON that cannot work; the message says how to fix them."""


def exit_of(error: BaseException) -> Exit:
    """Return the exit code for an error."""
    from intent import errors

    codes: tuple[tuple[tuple[type[Exception], ...], Exit], ...] = (
        ((UsageError,), Exit.USAGE),
        ((IncompleteError,), Exit.INCOMPLETE),
        ((errors.ConfigurationError, errors.ContractError), Exit.CONFIGURATION),
        ((errors.Unavailable, errors.DeadlineExceeded, errors.StoreUnavailable), Exit.UNAVAILABLE),
        ((errors.HandlerFailed,), Exit.FAILED),
        ((errors.CommandError,), Exit.REFUSED),
    )
    cause = _first(error)
    return next((code for kinds, code in codes if isinstance(cause, kinds)), Exit.FAILED)


def error_lines(error: BaseException) -> Iterator[str]:
    """Yield what to print of an error: a sentence, and for a command its details."""
    from intent.errors import CommandError, IntentError

    error = _first(error)
    if isinstance(error, CommandError):
        yield f"{error.reason}: {error.message}"
        for violation in error.violations:
            yield f"  {violation.field or 'message'}: {violation.description}"
    elif isinstance(error, IntentError | IncompleteError | UsageError):
        yield str(error)
    elif isinstance(error, OSError) and error.strerror:
        yield f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    else:
        text = str(error).strip().splitlines()
        yield f"{type(error).__name__}: {text[0]}" if text else type(error).__name__
        yield "  this is a defect; `intent --debug …` shows where it happened"


def _first(error: BaseException) -> BaseException:
    """Return the first real error of a group of tasks."""
    while isinstance(error, BaseExceptionGroup) and error.exceptions:
        error = error.exceptions[0]
    return error
