"""Names by which the platform's workflows, queues and activities are found."""

from __future__ import annotations

from datetime import timedelta

from intent_contracts.intent.v1 import SagaStatus

from intent.contracts import saga_id

__all__ = [
    "APPLY_EVENTS",
    "HANDLE_COMMANDS",
    "LOAD_AGGREGATE",
    "PROCESS_COMMANDS",
    "PROJECT_EVENTS",
    "ROUTE_COMMAND",
    "ROUTE_EVENT",
    "SAGA_ASKS",
    "SAGA_CANCEL",
    "SAGA_CODE",
    "SAGA_CODE_VERSION",
    "SAGA_END",
    "SAGA_REPORT",
    "SAGA_RESUME",
    "SAGA_SIGNAL",
    "SAGA_TASK_TIMEOUT",
    "WORKFLOW_TASK_TIMEOUT",
    "batch_workflow_prefix",
    "command_queue",
    "port_activity",
    "saga_memo",
    "saga_queue",
    "saga_status",
    "saga_workflow_id",
    "step_activity_id",
    "step_of_activity",
]

PROCESS_COMMANDS = "ProcessCommands"
HANDLE_COMMANDS = "handle_commands"
LOAD_AGGREGATE = "load_aggregate"
APPLY_EVENTS = "apply_events"
PROJECT_EVENTS = "project_events"
ROUTE_EVENT = "route_event"
ROUTE_COMMAND = "route_command"

SAGA_SIGNAL = "deliver"
"""The signal by which an event reaches a saga; its argument is a `RecordedEvent`."""

SAGA_RESUME = "resume"
"""The signal by which an operator resumes a stuck saga; its argument is a `ResumeSagaRequest`."""

SAGA_CANCEL = "cancel"
"""The signal by which an operator cancels a saga; its argument is a `CancelSagaRequest`."""

SAGA_REPORT = "report"
"""The query that a running saga answers with a `SagaReport`; of one that has ended it is the result."""

SAGA_CODE = "IntentSagaCode"
"""The key of a saga's memo under which it keeps the version of the platform's code that it began with."""

SAGA_CODE_VERSION = 3
"""The version of the platform's code of sagas: 1 shows what delays them and parks it, 2 parks steps whose ids
other commands have, and 3 gives calls of ports ids."""

SAGA_ASKS = "IntentSagaAsks"
"""The key of a saga's memo that makes it ask first whether it has ended before."""

SAGA_END = "saga_end"
"""The activity that a saga asks that; its argument is a `GetSagaRequest`, its result a `SagaReport`."""

WORKFLOW_TASK_TIMEOUT = timedelta(seconds=5)
"""How long the server waits for a worker that was killed before it hands its work to another.

With Temporal's default of 10 s the commands that are in flight at a kill would wait that long.
"""

SAGA_TASK_TIMEOUT = timedelta(seconds=10)
"""The same for sagas, for which nobody waits: under load a task considered lost is done twice."""


def command_queue(context: str) -> str:
    """Return the task queue of a context's commands."""
    return f"{context}-commands"


def saga_queue(context: str) -> str:
    """Return the task queue of a context's sagas."""
    return f"{context}-sagas"


def port_activity(context: str, port: str) -> str:
    """Return the name of the activity that calls a port of a context."""
    return f"{context}.{port}"


def saga_memo(*, ask: bool = False) -> dict[str, int]:
    """Return the memo of a saga that begins with the code of this process.

    Args:
        ask: Whether it is to ask first whether it has ended before.
    """
    return {SAGA_CODE: SAGA_CODE_VERSION, **({SAGA_ASKS: 1} if ask else {})}


def saga_status(status: SagaStatus.ValueType) -> str:
    """Return a saga's status as lists show it and filter by it, e.g. ``waiting``."""
    return SagaStatus.Name(status).removeprefix("SAGA_STATUS_").lower()


def batch_workflow_prefix(context: str) -> str:
    """Return the prefix of the ids of a context's batch workflows."""
    return f"{context}/commands/"


def saga_workflow_id(saga: str, tenant: str, correlation: str) -> str:
    """Return the id of the one saga for a tenant and a correlation."""
    return saga_id(saga, tenant, correlation)


def step_activity_id(path: str, number: int) -> str:
    """Return the id of an activity that a step of a saga waits for."""
    return f"{path}~{number}"


def step_of_activity(activity_id: str) -> str:
    """Return the path of the step that waits for an activity; empty when its id names none."""
    path, separator, _ = activity_id.partition("~")
    return path if separator else ""
