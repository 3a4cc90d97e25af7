"""Helps to test contexts: given, when, then for aggregates, and rows of projections."""

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
    "scripted",
    "stored",
]
