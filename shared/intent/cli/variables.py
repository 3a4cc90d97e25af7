"""The environment variables that the command line reads by itself."""

from __future__ import annotations

from typing import Any

__all__ = ["variables_of"]


def variables_of(command: Any) -> frozenset[str]:
    """Return the environment variables that a command and its subcommands read.

    Args:
        command: A command as Typer builds it, e.g. ``typer.main.get_command(app)``.
    """
    own = frozenset(parameter.envvar for parameter in command.params if parameter.envvar)
    return own.union(*(variables_of(sub) for sub in getattr(command, "commands", {}).values()))
