"""Conversion of a `CommandError` to a gRPC status with google.rpc details, and back.

A gRPC status travels in HTTP/2 trailers, for which many clients allow 8 KiB in total. So the
details are cut to a budget: texts are shortened and, when there are very many violations, the
last are left out and counted in the metadata key `x-omitted`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import grpc
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import DecodeError
from google.rpc import code_pb2, error_details_pb2, status_pb2
from intent_contracts.intent.v1 import Failure, FailureKind, FieldViolation

from intent.errors import (
    CommandError,
    HandlerFailed,
    NewerReleaseNeeded,
    StoreUnavailable,
    Unavailable,
    error_of,
    failure_of,
)

__all__ = [
    "ANSWER_TOO_LARGE",
    "DETAILS_KEY",
    "code_of",
    "command_error",
    "details_of",
    "error_of_details",
    "error_of_status",
    "failure_of_details",
    "shortened",
    "trailers_of",
]

ANSWER_TOO_LARGE: Final = "ANSWER_TOO_LARGE"
"""The reason of the error for an answer that is too large to be sent or received."""

DETAILS_KEY: Final = "grpc-status-details-bin"
"""The metadata key under which google.rpc.Status travels."""

DETAILS_BUDGET: Final = 3_000
"""Bytes of google.rpc.Status; base64 makes them 4,000 in the trailers."""

MESSAGE_BYTES: Final = 600
"""Bytes of the status message; percent-encoding may triple them."""

_TEXT_BYTES: Final = 500
_DUPLICATE: Final = "x-duplicate"
_OMITTED: Final = "x-omitted"
_STORE_RETRY_MS: Final = 500
_LONGEST_RETRY_MS: Final = 2**31 - 1
"""The longest wait that is taken from a server, in milliseconds: some weeks."""

_CONNECTION_LOST: Final = ("RST_STREAM", "Stream removed", "Socket closed", "GOAWAY")
"""What gRPC reports under various codes, INTERNAL among them, when a connection breaks during a call."""

_ANSWER_TOO_LARGE: Final = ("SERVER: Sent message", "CLIENT: Received message")
"""How gRPC reports that the answer, and not the request, is larger than one end allows."""

_CODES: Final[dict[FailureKind.ValueType, grpc.StatusCode]] = {
    FailureKind.FAILURE_KIND_INVALID: grpc.StatusCode.INVALID_ARGUMENT,
    FailureKind.FAILURE_KIND_REJECTED: grpc.StatusCode.FAILED_PRECONDITION,
    FailureKind.FAILURE_KIND_CONFLICT: grpc.StatusCode.ABORTED,
    FailureKind.FAILURE_KIND_NOT_FOUND: grpc.StatusCode.NOT_FOUND,
    FailureKind.FAILURE_KIND_PERMISSION_DENIED: grpc.StatusCode.PERMISSION_DENIED,
    FailureKind.FAILURE_KIND_UNAUTHENTICATED: grpc.StatusCode.UNAUTHENTICATED,
    FailureKind.FAILURE_KIND_EXHAUSTED: grpc.StatusCode.RESOURCE_EXHAUSTED,
    FailureKind.FAILURE_KIND_UNAVAILABLE: grpc.StatusCode.UNAVAILABLE,
    FailureKind.FAILURE_KIND_DEADLINE: grpc.StatusCode.DEADLINE_EXCEEDED,
    FailureKind.FAILURE_KIND_INTERNAL: grpc.StatusCode.INTERNAL,
    FailureKind.FAILURE_KIND_UNKNOWN_TYPE: grpc.StatusCode.UNIMPLEMENTED,
}
_KINDS: Final = {code: kind for kind, code in _CODES.items()}
_NUMBERS: Final[dict[grpc.StatusCode, int]] = {
    code: code_pb2.Code.Value(code.name) for code in grpc.StatusCode
}
_BY_NUMBER: Final = {number: code for code, number in _NUMBERS.items()}


def command_error(error: Exception) -> CommandError | None:
    """Return what a caller may know of an exception; None for a defect.

    `StoreUnavailable` becomes `Unavailable` with a delay after which to retry.
    """
    if isinstance(error, CommandError):
        return error
    if isinstance(error, NewerReleaseNeeded):
        message = f"{error}; nothing is lost, try again with the same command id"
        return Unavailable("NEWER_RELEASE_NEEDED", message, retry_after_ms=_STORE_RETRY_MS)
    if isinstance(error, StoreUnavailable):
        message = "the event store is unavailable; nothing is lost, try again with the same command id"
        return Unavailable("STORE_UNAVAILABLE", message, retry_after_ms=_STORE_RETRY_MS)
    return None


def code_of(error: CommandError) -> grpc.StatusCode:
    """Return the gRPC status code of an error."""
    return _CODES.get(error.kind, grpc.StatusCode.INTERNAL)


def shortened(text: str, limit: int) -> str:
    """Return a text cut to at most `limit` bytes of UTF-8; a cut text ends with an ellipsis."""
    data = text.encode()
    if len(data) <= limit:
        return text
    return data[: limit - 3].decode(errors="ignore") + "…"


def details_of(failure: Failure, domain: str) -> status_pb2.Status:
    """Return a failure as google.rpc.Status with its details.

    Args:
        failure: The failure.
        domain: The context to which the reason belongs, e.g. ``orders``.
    """
    code = _CODES.get(failure.kind, grpc.StatusCode.INTERNAL)
    status = status_pb2.Status(code=_NUMBERS[code], message=shortened(failure.message, MESSAGE_BYTES))
    if failure.retry_after_ms > 0:
        delay = Duration()
        delay.FromMilliseconds(failure.retry_after_ms)
        status.details.add().Pack(error_details_pb2.RetryInfo(retry_delay=delay))
    info = _error_info(failure, domain)
    kept = _fitting(failure.violations, DETAILS_BUDGET - status.ByteSize() - info.ByteSize() - 200)
    if len(kept) < len(failure.violations):
        info.metadata[_OMITTED] = str(len(failure.violations) - len(kept))
    if kept:
        status.details.add().Pack(error_details_pb2.BadRequest(field_violations=kept))
    status.details.add().Pack(info)
    return status


def _error_info(failure: Failure, domain: str) -> error_details_pb2.ErrorInfo:
    info = error_details_pb2.ErrorInfo(reason=shortened(failure.reason, 128), domain=domain)
    room = 1_000
    for key in sorted(failure.metadata):
        value = shortened(failure.metadata[key], _TEXT_BYTES)
        room -= len(key.encode()) + len(value.encode()) + 8
        if room < 0:
            break
        info.metadata[key] = value
    if failure.duplicate:
        info.metadata[_DUPLICATE] = "true"
    return info


def _fitting(
    violations: Iterable[FieldViolation], room: int
) -> list[error_details_pb2.BadRequest.FieldViolation]:
    kept: list[error_details_pb2.BadRequest.FieldViolation] = []
    for violation in violations:
        detail = error_details_pb2.BadRequest.FieldViolation(
            field=shortened(violation.field, _TEXT_BYTES),
            description=shortened(violation.description, _TEXT_BYTES),
            reason=shortened(violation.rule, 128),
        )
        room -= detail.ByteSize() + 4
        if room < 0:
            break
        kept.append(detail)
    return kept


def failure_of_details(status: status_pb2.Status) -> Failure:
    """Return the failure that `details_of` put into a google.rpc.Status.

    Details of other types are ignored, so that a status from another source can be read as well.
    """
    kind = _KINDS.get(_BY_NUMBER.get(status.code, grpc.StatusCode.UNKNOWN), FailureKind.FAILURE_KIND_INTERNAL)
    failure = Failure(kind=kind, message=status.message)
    info, bad, retry = (
        error_details_pb2.ErrorInfo(),
        error_details_pb2.BadRequest(),
        error_details_pb2.RetryInfo(),
    )
    for detail in status.details:
        if detail.Unpack(info):
            failure.reason = info.reason
            failure.metadata.update(info.metadata)
            failure.duplicate = failure.metadata.pop(_DUPLICATE, "") == "true"
        elif detail.Unpack(bad):
            for v in bad.field_violations:
                failure.violations.add(field=v.field, description=v.description, rule=v.reason)
        elif detail.Unpack(retry):
            failure.retry_after_ms = max(0, min(retry.retry_delay.ToMilliseconds(), _LONGEST_RETRY_MS))
    return failure


def error_of_details(status: status_pb2.Status) -> CommandError:
    """Return the exception that a google.rpc.Status represents."""
    return error_of(failure_of_details(status))


def error_of_status(
    code: grpc.StatusCode, message: str, trailers: Sequence[tuple[str, str | bytes]] = ()
) -> CommandError:
    """Return the exception that a gRPC status represents, with or without details.

    Args:
        code: The status code.
        message: The status message.
        trailers: The trailing metadata, which may contain the details.
    """
    for key, value in trailers:
        if key == DETAILS_KEY and isinstance(value, bytes):
            try:
                return error_of_details(status_pb2.Status.FromString(value))
            except DecodeError:
                break
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED and "larger than max" in message:
        return _too_large(message)
    if code is grpc.StatusCode.CANCELLED or any(words in message for words in _CONNECTION_LOST):
        return error_of(_plain(FailureKind.FAILURE_KIND_UNAVAILABLE, "CONNECTION_LOST", message))
    kind = _KINDS.get(code)
    if kind is None:
        return HandlerFailed(code.name, message)
    return error_of(_plain(kind, code.name, message))


def _too_large(message: str) -> CommandError:
    """Return the error for a message that gRPC itself refused: of the caller, or of the answer."""
    if any(words in message for words in _ANSWER_TOO_LARGE):
        return error_of(_plain(FailureKind.FAILURE_KIND_REJECTED, ANSWER_TOO_LARGE, message))
    return error_of(_plain(FailureKind.FAILURE_KIND_INVALID, "MESSAGE_TOO_LARGE", message))


def _plain(kind: FailureKind.ValueType, reason: str, message: str) -> Failure:
    return Failure(kind=kind, reason=reason, message=message)


def trailers_of(error: CommandError, domain: str) -> tuple[tuple[str, bytes], ...]:
    """Return the trailing metadata that carries an error's details."""
    return ((DETAILS_KEY, details_of(failure_of(error), domain).SerializeToString()),)
