"""Handling a batch of commands: load, decide, append."""

from intent.commands.handling.changed_states import ChangedStates
from intent.commands.handling.command_handling import CommandHandling, Handled

__all__ = ["ChangedStates", "CommandHandling", "Handled"]
