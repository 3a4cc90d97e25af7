"""Helps to test contexts: given, when, then for aggregates, rows of projections, sagas, consumers."""

from intent.testing.consuming import reactions as reactions
from intent.testing.history import Stored as Stored
from intent.testing.history import stored as stored
from intent.testing.projecting import projected as projected
from intent.testing.sagas import SagaOutcome as SagaOutcome
from intent.testing.sagas import SagaScript as SagaScript
from intent.testing.sagas import scripted as scripted
from intent.testing.scenario import Outcome as Outcome
from intent.testing.scenario import Scenario as Scenario
from intent.testing.scenario import given as given

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
