"""The ports of the context: a carrier."""

from __future__ import annotations

from intent.model import Port
from intent_contracts.shipping.v1 import CarrierAnswer, CarrierCall, SimulationCall, SimulationPlan

__all__ = ["CARRIER", "SIMULATION"]

CARRIER = Port("carrier", CarrierCall, CarrierAnswer)
"""A carrier; it books a parcel once under its idempotency key."""

SIMULATION = Port("simulation", SimulationCall, SimulationPlan)
"""The plan of the simulated carrier for a parcel; without reports where a real carrier reports."""
