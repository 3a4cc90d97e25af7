"""The trace context of a call: W3C's grammar, and never a reason to fail."""

from __future__ import annotations

import pytest
from intent.origin import NO_TRACE, TraceContext
from intent.wire.metadata import trace_context
from opentelemetry.trace import TraceState

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
LONGEST = "a=" + "x" * 248 + ",b=" + "y" * 256
"""A state with as many characters as are carried on, 509 and some spaces."""


def of(*states: str, parent: str = PARENT) -> TraceContext:
    return trace_context([("traceparent", parent), *(("tracestate", state) for state in states)])


@pytest.mark.parametrize(
    "state",
    [
        "rojo=00f067aa0ba902b7",
        "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE",
        "a_-*/9=x",
        "tenant@system=x",
        "1tenant@system=x",
        "a= leading and inner blanks",
        "a=!+-.;<>~",
        ",".join(f"k{n}=v" for n in range(32)),
        "a=" + "x" * 256,
        LONGEST,
    ],
)
def test_a_state_is_kept_as_it_came(state: str) -> None:
    assert of(state) == TraceContext(PARENT, state)
    assert TraceState.from_header([state]).to_header() == state


def test_parts_are_joined_and_blanks_around_members_dropped() -> None:
    assert of("a=1 , b=2", "", "\tc=3,,").state == "a=1,b=2,c=3"


@pytest.mark.parametrize(
    "state",
    [
        "a",
        "=x",
        "a=",
        "A=x",
        "1a=x",
        "a=x=y",
        "a=ü",
        "a=x,b",
        "a=1,a=2",
        "a@1=x",
        "a" * 257 + "=x",
        "a=" + "x" * 257,
        ",".join(f"k{n}=v" for n in range(33)),
        LONGEST + " " * (513 - len(LONGEST)),
    ],
)
def test_a_malformed_or_too_long_state_is_dropped_and_the_trace_kept(state: str) -> None:
    assert of(state) == TraceContext(PARENT)


@pytest.mark.parametrize(
    "parent",
    ["", "garbage", "ff" + PARENT[2:], PARENT.replace("0af7651916cd43dd8448eb211c80319c", "0" * 32)],
)
def test_without_a_valid_traceparent_there_is_no_state(parent: str) -> None:
    assert of("a=1", parent=parent) == NO_TRACE
    assert trace_context([("tracestate", "a=1")]) == NO_TRACE


@pytest.mark.parametrize(
    "parent",
    [
        PARENT.replace("b7ad6b7169203331", "0" * 16),
        f"{PARENT}-more",
        f"01{PARENT[2:]}more",
        PARENT.upper(),
        PARENT[1:],
        "-" * 5000,
    ],
)
def test_a_traceparent_that_w3c_calls_invalid_is_ignored(parent: str) -> None:
    assert of(parent=parent) == NO_TRACE


@pytest.mark.parametrize(
    ("parent", "read"),
    [
        (f"01{PARENT[2:]}", PARENT),
        (f"01{PARENT[2:]}-more-parts", PARENT),
        (f"cc{PARENT[2:-2]}02-", f"{PARENT[:-2]}00"),
    ],
)
def test_a_later_version_is_read_by_what_is_known_of_it(parent: str, read: str) -> None:
    assert of(parent=parent) == TraceContext(read)


def test_two_traceparents_name_no_trace() -> None:
    assert trace_context([("traceparent", PARENT), ("traceparent", PARENT)]) == NO_TRACE
