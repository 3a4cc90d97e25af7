"""Sagas as Temporal lists them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from intent_contracts.intent.v1 import SagaInfo, SagaStatus
from temporalio.client import WorkflowExecution, WorkflowExecutionStatus

from intent.store.postgres import SagaEnd
from intent.temporal import names
from intent.temporal.attributes import CONTEXT, CORRELATION_IDS, REPORTED_PROBLEMS, SAGA_STATUS, SAGA_STEP

__all__ = ["OVER", "end_of", "never_started", "of_context", "quoted", "saga_info", "saga_status_of"]

OVER: Final = frozenset({SagaStatus.SAGA_STATUS_COMPLETED, SagaStatus.SAGA_STATUS_COMPENSATED})
"""The statuses of sagas that ended by themselves."""
_STATUSES: Final = {names.saga_status(number): number for number in SagaStatus.values()}


def of_context(context: str, types: Collection[str]) -> str:
    """Return a visibility query for the last run of each saga of a context."""
    kinds = ", ".join(map(quoted, types))
    return (
        f"{CONTEXT.name} = {quoted(context)} AND WorkflowType IN ({kinds}) "
        'AND ExecutionStatus != "ContinuedAsNew"'
    )


def quoted(text: str) -> str:
    """Return a text as a literal of a visibility query; not every store of Temporal knows escapes."""
    return '"' + text.replace("\\", "").replace('"', "") + '"'


def saga_info(execution: WorkflowExecution) -> SagaInfo:
    """Return the line of a saga in a list."""
    type_, tenant, correlation = (*execution.id.split("/", 2), "", "")[:3]
    attributes = execution.typed_search_attributes
    info = SagaInfo(
        id=execution.id,
        type=type_,
        tenant_id=tenant,
        correlation=correlation,
        status=saga_status_of(execution),
        step=(attributes.get(SAGA_STEP) or "").strip("-"),
        correlation_id=next(iter(attributes.get(CORRELATION_IDS) or ()), ""),
    )
    info.started_at.FromDatetime(execution.start_time)
    if execution.close_time is not None:
        info.ended_at.FromDatetime(execution.close_time)
    return info


def saga_status_of(execution: WorkflowExecution) -> SagaStatus.ValueType:
    """Return the status of a saga, as far as lists know it."""
    if execution.status not in (WorkflowExecutionStatus.RUNNING, WorkflowExecutionStatus.COMPLETED):
        return SagaStatus.SAGA_STATUS_FAILED
    attributes = execution.typed_search_attributes
    problems: Sequence[str] | None = attributes.get(REPORTED_PROBLEMS)
    if problems and execution.status == WorkflowExecutionStatus.RUNNING:
        return SagaStatus.SAGA_STATUS_FAILING
    listed = _STATUSES.get(attributes.get(SAGA_STATUS) or "")
    if execution.status == WorkflowExecutionStatus.COMPLETED:
        return listed if listed in OVER else SagaStatus.SAGA_STATUS_COMPLETED
    return listed or SagaStatus.SAGA_STATUS_RUNNING


def never_started(execution: WorkflowExecution) -> bool:
    """Return whether a saga failed because the event that starts it did not come, so that it still may."""
    unstarted = names.saga_status(SagaStatus.SAGA_STATUS_UNSTARTED)
    return (
        execution.status == WorkflowExecutionStatus.FAILED
        and execution.typed_search_attributes.get(SAGA_STATUS) == unstarted
    )


def end_of(execution: WorkflowExecution) -> SagaEnd:
    """Return how a saga that is over ended."""
    tenant = execution.id.split("/", 2)[1]
    ended = execution.close_time or execution.start_time
    return SagaEnd(tenant, execution.id, saga_status_of(execution), execution.start_time, ended)
