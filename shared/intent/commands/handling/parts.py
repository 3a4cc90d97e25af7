"""What every run of a batch uses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from intent.commands.aggregates.cache import AggregateCache
from intent.commands.aggregates.new_guess import NewAggregateGuess
from intent.commands.aggregates.restoring import Restoring
from intent.commands.handling.changed_states import ChangedStates
from intent.commands.handling.given_up import GivenUp
from intent.guarding import Guard
from intent.model import BoundContext
from intent.store.event_store import EventStore

__all__ = ["Parts"]


@dataclass(frozen=True, slots=True)
class Parts:
    """What every run of a batch uses.

    Attributes:
        context: The context, bound to its contracts.
        store: Its event store.
        cache: The aggregates that were used last.
        new_guess: Which commands are expected to create their aggregates.
        restoring: Restores aggregates.
        guard: What the code of handlers runs under.
        given_up: The commands that took too long, by their workflow.
        undeclared: Called for each rejection that the command's contract does not declare.
        changed: Finds handlers that change the state of their aggregate in place.
    """

    context: BoundContext
    store: EventStore
    cache: AggregateCache
    new_guess: NewAggregateGuess
    restoring: Restoring
    guard: Guard
    given_up: GivenUp
    undeclared: Callable[[str, str], None]
    changed: ChangedStates
