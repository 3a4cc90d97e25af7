"""How a command ends: exit codes, and one clear sentence for each error."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from enum import IntEnum

__all__ = ["Exit", "UsageError", "exit_of", "show"]


class Exit(IntEnum):
    """What the exit code of `intent` says."""

    DONE = 0
    """All went well."""
    REFUSED = 1
    """The command or query was refused; it had no effect."""
    USAGE = 2
    """Wrong arguments or JSON."""
    CONFIGURATION = 3
    """Settings, contracts, a port or a program must be mended."""
    AWAY = 4
    """A service does not answer."""
    FAILED = 5
    """Something failed."""
    INTERRUPTED = 130
    """Ended by Ctrl-C."""


class UsageError(Exception):
    """Arguments or JSON that cannot work; the message says the mend."""


def exit_of(error: BaseException) -> Exit:
    """Returns the exit code for an error."""
    from intent import errors

    codes: tuple[tuple[tuple[type[Exception], ...], Exit], ...] = (
        ((UsageError,), Exit.USAGE),
        ((errors.ConfigurationError, errors.ContractError), Exit.CONFIGURATION),
        ((errors.Unavailable, errors.DeadlineExceeded, errors.StoreUnavailable), Exit.AWAY),
        ((errors.HandlerFailed,), Exit.FAILED),
        ((errors.CommandError,), Exit.REFUSED),
    )
    cause = _first(error)
    return next((code for kinds, code in codes if isinstance(cause, kinds)), Exit.FAILED)


def show(error: BaseException) -> None:
    """Writes what went wrong to standard error: a sentence, and for a command its details."""
    for line in _lines(_first(error)):
        sys.stderr.write(f"{line}\n")


def _lines(error: BaseException) -> Iterator[str]:
    from intent.errors import CommandError, IntentError

    if isinstance(error, CommandError):
        yield f"{error.reason}: {error.message}"
        for violation in error.violations:
            yield f"  {violation.field or 'message'}: {violation.description}"
    elif isinstance(error, IntentError | UsageError):
        yield str(error)
    else:
        said = str(error).strip().splitlines()
        yield f"{type(error).__name__}: {said[0]}" if said else type(error).__name__
        yield "  this is a defect; `intent --debug …` shows where it happened"


def _first(error: BaseException) -> BaseException:
    """Returns the first real error of a group of tasks."""
    while isinstance(error, BaseExceptionGroup) and error.exceptions:
        error = error.exceptions[0]
    return error
