"""Says in words why something in Temporal failed."""

from __future__ import annotations

from typing import Final

from temporalio.api.failure.v1 import Failure
from temporalio.exceptions import ActivityError, ApplicationError, ChildWorkflowError, FailureError
from temporalio.exceptions import TimeoutError as TimeoutFailure

__all__ = ["reason_of", "without_details"]

_DETAILS: Final = ("details", "last_heartbeat_details")


def reason_of(error: BaseException) -> tuple[str, str]:
    """Return the reason of a failure, a short name, and the same in words."""
    while isinstance(error, ActivityError | ChildWorkflowError | TimeoutFailure) and error.cause is not None:
        error = error.cause
    if isinstance(error, ApplicationError):
        return error.type or "DEFECT", error.message
    message = error.message if isinstance(error, FailureError) else str(error)
    return type(error).__name__.removesuffix("Error").upper(), message


def without_details(failure: Failure) -> Failure:
    """Return a failure with its words only.

    Its details carry MACs for a place that is not known where a failure is merely shown.
    """
    bare = Failure()
    bare.CopyFrom(failure)
    each = bare
    while True:
        info = getattr(each, each.WhichOneof("failure_info") or "", None)
        for name in _DETAILS:
            if info is not None and name in info.DESCRIPTOR.fields_by_name:
                info.ClearField(name)
        if not each.HasField("cause"):
            return bare
        each = each.cause
