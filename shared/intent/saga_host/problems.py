"""Why the code of a saga fails: Temporal knows, since it retries the task."""

from __future__ import annotations

import logging
import re
import traceback
from collections.abc import Iterable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Final

from intent_contracts.intent.v1 import SagaProblem
from temporalio.api.enums.v1 import WorkflowTaskFailedCause
from temporalio.api.failure.v1 import Failure
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.workflowservice.v1 import GetWorkflowExecutionHistoryReverseRequest
from temporalio.client import Client, WorkflowExecutionDescription, WorkflowExecutionStatus

__all__ = ["OneLine", "problem_of"]

_EVENTS: Final = 100
"""How many events of the history to look at, the latest first; those that came in between are signals."""

_HARMLESS: Final = frozenset(
    {
        WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_UNHANDLED_COMMAND,
        WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_FORCE_CLOSE_COMMAND,
        WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_RESET_WORKFLOW,
        WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_RESET_STICKY_TASK_QUEUE,
    }
)
"""Causes that are no defect: Temporal repeats the task, which then succeeds."""

_FRAME: Final = re.compile(r'File "([^"]+)", line (\d+)')
_PLATFORM: Final = (str(Path(__file__).parents[1]) + "/", "/temporalio/", "<frozen ", "/google/protobuf/")
_LONGEST: Final = 1000


async def problem_of(
    client: Client, execution: WorkflowExecutionDescription, timeout: timedelta
) -> SagaProblem | None:
    """Return why a saga's task failed last; None when it did not since the saga last got on.

    Raises:
        RPCError: Temporal is unavailable.
    """
    attempt = execution.raw_description.pending_workflow_task.attempt
    if execution.status != WorkflowExecutionStatus.RUNNING or attempt < 2:
        return None
    request = GetWorkflowExecutionHistoryReverseRequest(
        namespace=client.namespace,
        execution=execution.raw_description.workflow_execution_info.execution,
        maximum_page_size=_EVENTS,
    )
    reverse = client.workflow_service.get_workflow_execution_history_reverse
    page = await reverse(request, timeout=timeout)
    failure = _last_failure(page.history.events)
    if failure is None:
        return None
    return SagaProblem(error=_words(failure), place=_place(failure), attempt=attempt)


def _last_failure(newest_first: Iterable[HistoryEvent]) -> Failure | None:
    for event in newest_first:
        if event.HasField("workflow_task_completed_event_attributes"):
            return None
        if event.HasField("workflow_task_failed_event_attributes"):
            failed = event.workflow_task_failed_event_attributes
            if failed.cause not in _HARMLESS:
                return failed.failure
    return None


def _words(failure: Failure) -> str:
    kind = failure.application_failure_info.type
    return (f"{kind}: {failure.message}" if kind else failure.message)[:_LONGEST]


def _place(failure: Failure) -> str:
    """Return the innermost line of the author's code in a stack, else the innermost of all."""
    return _innermost(_FRAME.findall(failure.stack_trace))


def _innermost(frames: Sequence[tuple[str, str]]) -> str:
    own = [frame for frame in frames if not any(part in frame[0] for part in _PLATFORM)]
    if not frames:
        return ""
    file, line = (own or frames)[-1]
    return f"{'/'.join(Path(file).parts[-2:])}:{line}"


class OneLine(logging.Filter):
    """Puts what the SDK logs of a failing workflow, which is mostly its own stack, into one line."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Shorten a record of a failed task, and let every record pass."""
        if record.__dict__.get("__temporal_error_identifier") != "WorkflowTaskFailure" or not record.exc_info:
            return True
        error = record.exc_info[1]
        frames = [(each.filename, str(each.lineno)) for each in traceback.extract_tb(record.exc_info[2])]
        workflow = record.__dict__.pop("temporal_workflow", None) or {}
        record.msg = "the code of %s fails in %s and is retried: %s: %s"
        record.args = (
            workflow.get("workflow_id", "a workflow"),
            _innermost(frames) or "an unknown place",
            type(error).__name__,
            error,
        )
        record.exc_info = None
        return True
