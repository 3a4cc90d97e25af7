"""The contracts: what commands, events, queries, read models and sagas there are.

All of it is read from the options in the `.proto` files, so that nothing is
listed a second time in code.
"""

from intent.contracts.contract import (
    AnyContract,
    CommandContract,
    EventContract,
    QueryContract,
    ReadModelContract,
    SagaContract,
    StateContract,
    saga_id,
)
from intent.contracts.options import snake_case
from intent.contracts.ownership import (
    ANY_CALLER,
    OwnedBy,
    Owner,
    Ownership,
    hides_versions,
    not_the_owner,
    required_owner,
    role_missing,
    subject_of,
)
from intent.contracts.problems import Problem, Problems
from intent.contracts.reasons import PLATFORM_REASONS
from intent.contracts.registry import Registry
from intent.contracts.validation import (
    COMMAND_EVENTS_LIMIT,
    MESSAGE_LIMIT,
    parse,
    require_recordable,
    require_saga_ids,
    validate,
)

__all__ = [
    "ANY_CALLER",
    "COMMAND_EVENTS_LIMIT",
    "MESSAGE_LIMIT",
    "PLATFORM_REASONS",
    "AnyContract",
    "CommandContract",
    "EventContract",
    "OwnedBy",
    "Owner",
    "Ownership",
    "Problem",
    "Problems",
    "QueryContract",
    "ReadModelContract",
    "Registry",
    "SagaContract",
    "StateContract",
    "hides_versions",
    "not_the_owner",
    "parse",
    "require_recordable",
    "require_saga_ids",
    "required_owner",
    "role_missing",
    "saga_id",
    "snake_case",
    "subject_of",
    "validate",
]
