"""Helps to test contexts: given, when, then for aggregates."""

from intent.testing.scenario import Outcome as Outcome
from intent.testing.scenario import Scenario as Scenario
from intent.testing.scenario import given as given
from intent.testing.scenario import stored as stored

__all__ = ["Outcome", "Scenario", "given", "stored"]
