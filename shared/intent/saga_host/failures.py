"""Says in words why something in Temporal failed."""

from __future__ import annotations

from temporalio.exceptions import ActivityError, ApplicationError, ChildWorkflowError, FailureError
from temporalio.exceptions import TimeoutError as TimeoutFailure

__all__ = ["reason_of"]


def reason_of(error: BaseException) -> tuple[str, str]:
    """Return the reason of a failure, a short name, and the same in words."""
    while isinstance(error, ActivityError | ChildWorkflowError | TimeoutFailure) and error.cause is not None:
        error = error.cause
    if isinstance(error, ApplicationError):
        return error.type or "DEFECT", error.message
    message = error.message if isinstance(error, FailureError) else str(error)
    return type(error).__name__.removesuffix("Error").upper(), message
