"""Helps to test contexts: given, when, then for aggregates, rows of projections, sagas, consumers."""

from intent.testing.consumers import reactions
from intent.testing.history import Stored, stored
from intent.testing.projections import projected
from intent.testing.sagas import SagaOutcome, SagaScript, scripted
from intent.testing.scenario import Outcome, Scenario, given

__all__ = [
    "Outcome",
    "SagaOutcome",
    "SagaScript",
    "Scenario",
    "Stored",
    "given",
    "projected",
    "reactions",
    "scripted",
    "stored",
]
