"""Helpers to test contexts: aggregates by given, when, then; projections, sagas and consumers."""

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
