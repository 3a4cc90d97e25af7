"""Building blocks for simulators of outside systems, such as payment providers and carriers.

A simulator stands behind a port in development and in tests: it does each thing once under its
idempotency key, remembers that in a file which outlives its process, and misbehaves as the real
one would.
"""

from intent.simulation.ledger import Ledger as Ledger
from intent.simulation.link import Link as Link
from intent.simulation.link import NoAnswer as NoAnswer
from intent.simulation.link import Trouble as Trouble
from intent.simulation.variables import ledger_path as ledger_path
from intent.simulation.variables import whole_number as whole_number

__all__ = ["Ledger", "Link", "NoAnswer", "Trouble", "ledger_path", "whole_number"]
