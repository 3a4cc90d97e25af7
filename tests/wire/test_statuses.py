"""Failures travel as google.rpc details and come back the same."""

from __future__ import annotations

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from hypothesis import given, settings
from hypothesis import strategies as st
from intent.errors import (
    CommandError,
    HandlerFailed,
    InvalidCommand,
    Overloaded,
    Rejected,
    StoreUnavailable,
    Unavailable,
    VersionConflict,
    error_of,
    failure_of,
)
from intent.wire.statuses import (
    DETAILS_KEY,
    code_of,
    command_error,
    details_of,
    error_of_details,
    error_of_status,
    trailers_of,
)
from intent_contracts.intent.v1 import Failure, FailureKind, FieldViolation

KINDS = [kind for kind in FailureKind.values() if kind != FailureKind.FAILURE_KIND_UNSPECIFIED]


def texts(size: int) -> st.SearchStrategy[str]:
    return st.text(max_size=size)


def failures(text: int, many: int) -> st.SearchStrategy[Failure]:
    return st.builds(
        Failure,
        kind=st.sampled_from(KINDS),
        reason=texts(text),
        message=texts(text),
        metadata=st.dictionaries(
            texts(text).filter(lambda key: not key.startswith("x-")), texts(text), max_size=many
        ),
        violations=st.lists(
            st.builds(FieldViolation, field=texts(text), description=texts(text), rule=texts(text)),
            max_size=many,
        ),
        retry_after_ms=st.integers(min_value=0, max_value=10**9),
        duplicate=st.booleans(),
    )


@settings(deadline=None)
@given(failures(text=20, many=4))
def test_a_failure_comes_back_as_it_was_sent(failure: Failure) -> None:
    status = status_pb2.Status.FromString(details_of(failure, "orders").SerializeToString())
    assert failure_of(error_of_details(status)) == failure_of(error_of(failure))
    assert failure_of(error_of_details(status)) == failure


@settings(deadline=None)
@given(failures(text=5_000, many=300))
def test_a_failure_of_any_size_fits_into_trailers(failure: Failure) -> None:
    error = error_of(failure)
    ((_, data),) = trailers_of(error, "orders")
    assert len(data) <= 4_000
    received = error_of_details(status_pb2.Status.FromString(data))
    assert type(received) is type(error)
    assert received.retry_after_ms == error.retry_after_ms
    assert received.duplicate == error.duplicate
    assert len(received.violations) <= len(error.violations)


def test_violations_that_do_not_fit_are_counted() -> None:
    failure = Failure(kind=FailureKind.FAILURE_KIND_INVALID, reason="CONTRACT_VIOLATED", message="broken")
    for index in range(500):
        failure.violations.add(field=f"lines[{index}].quantity", description="must be at least 1")
    received = error_of_details(details_of(failure, "orders"))
    assert received.violations[0].field == "lines[0].quantity"
    assert len(received.violations) + int(received.metadata["x-omitted"]) == 500


def test_details_are_those_of_google_rpc() -> None:
    failure = Failure(
        kind=FailureKind.FAILURE_KIND_REJECTED,
        reason="ORDER_ALREADY_PAID",
        message="order o-1 is paid",
        metadata={"order": "o-1"},
        retry_after_ms=1500,
    )
    status = details_of(failure, "orders")
    info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
    assert any(detail.Unpack(info) for detail in status.details)
    assert any(detail.Unpack(retry) for detail in status.details)
    assert (info.reason, info.domain, dict(info.metadata)) == (
        "ORDER_ALREADY_PAID",
        "orders",
        {"order": "o-1"},
    )
    assert retry.retry_delay.ToMilliseconds() == 1500
    assert (status.code, status.message) == (9, "order o-1 is paid")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InvalidCommand("A", "a"), grpc.StatusCode.INVALID_ARGUMENT),
        (Rejected("A", "a"), grpc.StatusCode.FAILED_PRECONDITION),
        (VersionConflict("A", "a"), grpc.StatusCode.ABORTED),
        (Overloaded("A", "a"), grpc.StatusCode.RESOURCE_EXHAUSTED),
        (Unavailable("A", "a"), grpc.StatusCode.UNAVAILABLE),
        (HandlerFailed("A", "a"), grpc.StatusCode.INTERNAL),
    ],
)
def test_each_kind_has_its_code(error: CommandError, code: grpc.StatusCode) -> None:
    assert code_of(error) is code


def test_an_unavailable_store_is_reported_with_a_delay_and_without_internals() -> None:
    error = command_error(StoreUnavailable("connection refused by 10.0.0.7"))
    assert isinstance(error, Unavailable)
    assert error.retry_after_ms > 0
    assert "10.0.0.7" not in str(error)


def test_a_caller_may_know_nothing_of_a_defect() -> None:
    assert command_error(ZeroDivisionError("division by zero")) is None


def test_statuses_without_details_can_be_read() -> None:
    too_large = error_of_status(
        grpc.StatusCode.RESOURCE_EXHAUSTED, "SERVER: Received message larger than max (5 vs. 4)"
    )
    assert isinstance(too_large, InvalidCommand)
    assert too_large.reason == "MESSAGE_TOO_LARGE"
    assert isinstance(error_of_status(grpc.StatusCode.RESOURCE_EXHAUSTED, "later"), Overloaded)
    assert isinstance(error_of_status(grpc.StatusCode.UNAVAILABLE, "connection refused"), Unavailable)
    assert isinstance(error_of_status(grpc.StatusCode.CANCELLED, "shutting down"), Unavailable)
    broken = error_of_status(grpc.StatusCode.INTERNAL, "Received RST_STREAM with error code 2")
    assert isinstance(broken, Unavailable)
    assert isinstance(error_of_status(grpc.StatusCode.UNKNOWN, "?"), HandlerFailed)


@pytest.mark.parametrize(
    "message",
    [
        "SERVER: Sent message larger than max (4804347 vs. 4194304)",
        "CLIENT: Received message larger than max (20000000 vs. 16777216)",
    ],
)
def test_an_answer_that_is_too_large_is_not_the_callers_fault(message: str) -> None:
    error = error_of_status(grpc.StatusCode.RESOURCE_EXHAUSTED, message)
    assert isinstance(error, Rejected)
    assert error.reason == "ANSWER_TOO_LARGE"


def test_details_that_do_not_parse_are_ignored() -> None:
    error = error_of_status(grpc.StatusCode.NOT_FOUND, "gone", [(DETAILS_KEY, b"\xff\xff")])
    assert (error.reason, error.message) == ("NOT_FOUND", "gone")


@pytest.mark.parametrize("seconds", [2**62, 315_576_000_000, -(2**62)])
def test_a_wait_that_nobody_could_mean_is_cut(seconds: int) -> None:
    status = status_pb2.Status(code=8)
    retry = error_details_pb2.RetryInfo()
    retry.retry_delay.seconds = seconds
    status.details.add().Pack(retry)
    wait = error_of_details(status).retry_after_ms
    assert (wait == 2**31 - 1) if seconds > 0 else (wait == 0)
