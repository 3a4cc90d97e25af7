"""Building blocks for simulators of outside systems, such as payment providers and carriers.

A simulator serves a port in development and in tests: it performs each action once under its
idempotency key, remembers that in a file which outlives its process, and fails in the ways of the
real system.
"""

from intent.simulation.ledger import Ledger
from intent.simulation.link import Link, NoAnswer, Trouble
from intent.simulation.variables import ledger_path, whole_number

__all__ = [
    "Ledger",
    "Link",
    "NoAnswer",
    "Trouble",
    "ledger_path",
    "whole_number",
]
