"""The contracts: what commands, events, queries, read models and sagas there are.

All of it is read from the options in the `.proto` files, so that nothing is
listed a second time in code.
"""

from intent.contracts.contract import AnyContract as AnyContract
from intent.contracts.contract import CommandContract as CommandContract
from intent.contracts.contract import EventContract as EventContract
from intent.contracts.contract import QueryContract as QueryContract
from intent.contracts.contract import ReadModelContract as ReadModelContract
from intent.contracts.contract import SagaContract as SagaContract
from intent.contracts.contract import StateContract as StateContract
from intent.contracts.options import snake_case as snake_case
from intent.contracts.problems import Problem as Problem
from intent.contracts.problems import Problems as Problems
from intent.contracts.registry import Registry as Registry
from intent.contracts.validation import MESSAGE_LIMIT as MESSAGE_LIMIT
from intent.contracts.validation import parse as parse
from intent.contracts.validation import validate as validate

__all__ = [
    "MESSAGE_LIMIT",
    "AnyContract",
    "CommandContract",
    "EventContract",
    "Problem",
    "Problems",
    "QueryContract",
    "ReadModelContract",
    "Registry",
    "SagaContract",
    "StateContract",
    "parse",
    "snake_case",
    "validate",
]
