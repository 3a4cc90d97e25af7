"""The attributes of workflows: what the Temporal UI shows of them, and by what they are found.

A batch mixes tenants, commands and correlations, so its attributes are lists. Temporal limits one
attribute to 2 KiB; where the values of a large batch do not fit, tenants and types are shortened to
prefixes, and correlation ids to their ends: ids that hold their time begin alike (`correlation_query`
asks for every form).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from intent_contracts.intent.v1 import CommandEnvelope, SagaStatus
from temporalio.common import Priority, SearchAttributeKey, SearchAttributePair, TypedSearchAttributes

from intent.envelopes import command_type
from intent.temporal.names import saga_status

__all__ = [
    "COMMAND_TYPES",
    "CONTEXT",
    "CORRELATION_IDS",
    "REPORTED_PROBLEMS",
    "SAGA_STATUS",
    "SAGA_STEP",
    "SEARCH_ATTRIBUTES",
    "TENANTS",
    "batch_attributes",
    "batch_priority",
    "batch_summary",
    "correlation_query",
    "fair_to",
    "saga_attributes",
    "saga_summary",
]

TENANTS = SearchAttributeKey.for_keyword_list("IntentTenants")
CONTEXT = SearchAttributeKey.for_keyword("IntentContext")
COMMAND_TYPES = SearchAttributeKey.for_keyword_list("IntentCommandTypes")
CORRELATION_IDS = SearchAttributeKey.for_keyword_list("IntentCorrelationIds")
SAGA_STATUS = SearchAttributeKey.for_keyword("IntentSagaStatus")
"""The status of a saga: a `SagaStatus` in lower case, without its prefix."""
SAGA_STEP = SearchAttributeKey.for_keyword("IntentSagaStep")
"""The step that a saga is on."""

REPORTED_PROBLEMS = SearchAttributeKey.for_keyword_list("TemporalReportedProblems")
"""Set by Temporal, from version 1.30 on, where a workflow's task has failed several times in a row."""

SEARCH_ATTRIBUTES = {
    TENANTS.name: "KeywordList",
    CONTEXT.name: "Keyword",
    COMMAND_TYPES.name: "KeywordList",
    CORRELATION_IDS.name: "KeywordList",
    SAGA_STATUS.name: "Keyword",
    SAGA_STEP.name: "Keyword",
}
"""The attributes that a Temporal namespace must have, by name, with their types."""

_LIMIT = 2000
_LENGTHS = (12, 8, 6, 5, 4)


def _json_size(values: Sequence[str]) -> int:
    return sum(map(len, values)) + 3 * len(values) + 2


def _fitting(values: Iterable[str], *, ends: bool = False) -> list[str]:
    """Return the distinct values, all cut to the same length, or to such ends, when they would not fit."""
    distinct = list(dict.fromkeys(v for v in values if v))
    if _json_size(distinct) <= _LIMIT:
        return distinct
    for length in _LENGTHS:
        short = list(dict.fromkeys(v[-length:] if ends else v[:length] for v in distinct))
        if _json_size(short) <= _LIMIT:
            return short
    return short[: _LIMIT // (_LENGTHS[-1] + 3)]


def batch_attributes(context: str, commands: Sequence[CommandEnvelope]) -> TypedSearchAttributes:
    """Return the search attributes of a batch."""
    return TypedSearchAttributes(
        [
            SearchAttributePair(CONTEXT, context),
            SearchAttributePair(TENANTS, _fitting(c.tenant_id for c in commands)),
            SearchAttributePair(COMMAND_TYPES, _fitting(_short(command_type(c)) for c in commands)),
            SearchAttributePair(CORRELATION_IDS, _fitting((c.correlation_id for c in commands), ends=True)),
        ]
    )


def fair_to(tenant: str) -> Priority:
    """Return the priority of a tenant's work: tenants take turns on a task queue.

    Temporal takes keys of up to 64 bytes; ids that are longer share the key of their first 64.
    """
    return Priority(fairness_key=tenant.encode()[:64].decode(errors="ignore"))


def batch_priority(commands: Sequence[CommandEnvelope]) -> Priority:
    """Return the priority of a batch: its tenant's, or the default when it mixes tenants."""
    tenants = {command.tenant_id for command in commands}
    return fair_to(tenants.pop()) if len(tenants) == 1 else Priority.default


def batch_summary(commands: Sequence[CommandEnvelope]) -> str:
    """Return one line for a person, e.g. ``3 PlaceOrder, 1 CancelOrder (2 tenants)``."""
    counts = Counter(_short(command_type(c)) for c in commands)
    shown = ", ".join(f"{n} {name}" for name, n in counts.most_common(5))
    tenants = {c.tenant_id for c in commands}
    whose = next(iter(tenants)) if len(tenants) == 1 else f"{len(tenants)} tenants"
    return f"{shown} ({whose})"[:200]


def saga_attributes(
    context: str, tenant: str, correlation_id: str, status: SagaStatus.ValueType
) -> TypedSearchAttributes:
    """Return the search attributes that a saga starts with."""
    return TypedSearchAttributes(
        [
            SearchAttributePair(CONTEXT, context),
            SearchAttributePair(TENANTS, [tenant]),
            SearchAttributePair(CORRELATION_IDS, [correlation_id]),
            SearchAttributePair(SAGA_STATUS, saga_status(status)),
        ]
    )


def saga_summary(type_name: str, tenant: str, correlation: str) -> str:
    """Return one line for a person, e.g. ``FulfilOrder o-1 (acme)``."""
    return f"{_short(type_name)} {correlation} ({tenant})"[:200]


def correlation_query(correlation_id: str) -> str:
    """Return the visibility query that finds every workflow of a correlation."""
    # Releases before cut correlation ids to their beginnings.
    cut = [form for n in _LENGTHS for form in (correlation_id[-n:], correlation_id[:n])]
    forms = dict.fromkeys([correlation_id, *cut])
    quoted = ", ".join('"' + form.replace('"', "") + '"' for form in forms)
    return f"{CORRELATION_IDS.name} IN ({quoted})"


def _short(type_name: str) -> str:
    return type_name.rpartition(".")[2]
