"""What a saga takes as the outcome of a command."""

from __future__ import annotations

from intent_contracts.intent.v1 import CommandEnvelope, CommandOutcome

__all__ = ["outcome_of"]


def outcome_of(envelope: CommandEnvelope, outcome: CommandOutcome) -> CommandOutcome:
    """Return the outcome that came for a command.

    Raises:
        RuntimeError: It is that of another command, with which somebody answered in place of a worker.
    """
    if outcome.command_id != envelope.command_id:
        raise RuntimeError(
            f"the outcome of the command {outcome.command_id!r} came for {envelope.type} "
            f"{envelope.command_id}; only somebody who answers in place of a worker gives that"
        )
    return outcome
