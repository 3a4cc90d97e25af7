"""Commands get the caller's options, completed from the profile."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Set
from typing import Any, Concatenate, Final, Literal, ParamSpec

from intent.cli.connection.callers import CallOptions
from intent.cli.connection.values import completed

__all__ = ["calls_context", "variables_of"]

P = ParamSpec("P")
_FIELDS: Final = inspect.signature(CallOptions, eval_str=True).parameters
_INNER: Final = ("needs_tenant", "login")


def calls_context(
    *,
    needs_tenant: bool = True,
    timeout: float = 30.0,
    without: Set[Literal["tenant", "timeout"]] = frozenset(),
) -> Callable[[Callable[Concatenate[CallOptions, P], None]], Callable[P, None]]:
    """Add the caller's options to a command, which gets them as its first argument.

    The options follow the command's own ones in its signature, where typer reads them. What neither
    options nor variables say is taken from the profile.

    Args:
        needs_tenant: Whether the command acts on a tenant's data.
        timeout: The default of ``--timeout``, and the timeout of a command without that option, in seconds.
        without: Options that the command does not take.
    """
    fixed: Mapping[str, Any] = {"needs_tenant": needs_tenant, "timeout": timeout}
    options = {name: field.replace(default=fixed.get(name, field.default)) for name, field in _FIELDS.items()}
    for name in (*_INNER, *without):
        del options[name]

    def decorate(command: Callable[Concatenate[CallOptions, P], None]) -> Callable[P, None]:
        @functools.wraps(command)
        def run(*args: P.args, **kwargs: P.kwargs) -> None:
            given = {name: kwargs.pop(name) for name in options if name in kwargs}
            command(CallOptions(**{**fixed, **completed(given)}), *args, **kwargs)

        signature = inspect.signature(command, eval_str=True)
        _, *own = signature.parameters.values()
        run.__signature__ = signature.replace(parameters=[*own, *options.values()])  # type: ignore[attr-defined]
        return run

    return decorate


def variables_of(command: Any) -> frozenset[str]:
    """Return the environment variables that a command and its subcommands read.

    Args:
        command: A command as Typer builds it, e.g. ``typer.main.get_command(app)``.
    """
    own = frozenset(parameter.envvar for parameter in command.params if parameter.envvar)
    return own.union(*(variables_of(sub) for sub in getattr(command, "commands", {}).values()))
