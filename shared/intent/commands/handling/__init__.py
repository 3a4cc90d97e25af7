"""Handling a batch of commands: load, decide, append."""

from intent.commands.handling.command_handling import CommandHandling, Handled

__all__ = ["CommandHandling", "Handled"]
