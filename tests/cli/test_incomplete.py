"""Contexts that do not answer, refuse or have more: what is shown is never taken for all."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import grpc
import pytest
from google.protobuf.message import Message
from intent.dev.state import ContextAddress, DevState
from intent.telemetry.endpoint import MetricsEndpoint
from intent_contracts.intent.v1 import (
    DescribeResponse,
    ListConsumersResponse,
    ListParkedRequest,
    ListParkedResponse,
    ListProjectionsResponse,
    ListSagasResponse,
    ParkedEvent,
    RecordedEvent,
    ReplayParkedResponse,
    SagaInfo,
    SubscribeResponse,
)

from .running import Done, environment, intent

Answer: TypeAlias = Message | grpc.StatusCode | float | Callable[[Any], Message]
"""How a context answers: with a message, with one made from the request, with an error, after seconds."""

EMPTY: Mapping[str, Answer] = {
    "ListParked": ListParkedResponse(),
    "ListSagas": ListSagasResponse(),
    "ListProjections": ListProjectionsResponse(),
    "ListConsumers": ListConsumersResponse(),
    "Describe": DescribeResponse(),
}
REFUSED: Mapping[str, Answer] = dict.fromkeys(EMPTY, grpc.StatusCode.PERMISSION_DENIED)
LISTS = (
    ("parked", "list"),
    ("parked", "replay", "c", "--all"),
    ("consumers", "list"),
    ("projections", "status"),
    ("sagas", "list"),
    ("events",),
    ("trace", "c-1"),
)


class Context(grpc.GenericRpcHandler):  # type: ignore[misc]
    """A context that gives set answers."""

    def __init__(self, answers: Mapping[str, Answer]) -> None:
        self.answers = answers
        self.closing = threading.Event()
        self.subscribed = threading.Event()

    def service(self, call: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any]:
        """Return what handles a call."""
        name = str(call.method).rpartition("/")[2]
        answer = self.answers.get(name)

        def one(request: Any, context: grpc.ServicerContext) -> Any:
            if isinstance(answer, float):
                self.closing.wait(answer)
                context.abort(grpc.StatusCode.UNAVAILABLE, "it took too long")
            if isinstance(answer, grpc.StatusCode):
                context.abort(answer, "not you")
            return answer(request) if callable(answer) else answer

        def many(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
            self.subscribed.set()
            if answer is not None:
                yield one(request, context)

        def write(message: Any) -> bytes:
            return bytes(message.SerializeToString())

        if name == "Subscribe":
            return grpc.unary_stream_rpc_method_handler(many, response_serializer=write)
        return grpc.unary_unary_rpc_method_handler(one, response_serializer=write)


@contextmanager
def serving(answers: Mapping[str, Answer]) -> Iterator[str]:
    """Serve a context and yield its address."""
    context = Context(answers)
    server = grpc.server(ThreadPoolExecutor(8))
    server.add_generic_rpc_handlers((context,))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        context.closing.set()
        server.stop(None).wait()


Run = Callable[..., Done]


@pytest.fixture
def run() -> Iterator[Run]:
    """Return what runs a command beside contexts with set answers."""
    with ExitStack() as stack:

        def command(arguments: tuple[str, ...], **contexts: Mapping[str, Answer]) -> Done:
            targets = [
                f"{name}={stack.enter_context(serving(answers))}" for name, answers in contexts.items()
            ]
            return intent(*arguments, "--target", ",".join(targets), *_caller(arguments))

        yield command


def _caller(arguments: tuple[str, ...]) -> tuple[str, ...]:
    return () if arguments[0] == "projections" else ("-t", "acme")


@pytest.mark.parametrize("arguments", LISTS)
def test_a_context_that_refuses_is_named_with_its_reason(run: Run, arguments: tuple[str, ...]) -> None:
    done = run(arguments, orders=EMPTY, payments=REFUSED)
    assert done.code == 6, done
    assert "payments is not shown: PERMISSION_DENIED: not you" in done.err
    for word in ("nothing is parked", "has parked nothing", "no sagas", "no consumers"):
        assert word not in done.out + done.err


@pytest.mark.parametrize("arguments", LISTS)
def test_contexts_that_all_refuse_are_all_named(run: Run, arguments: tuple[str, ...]) -> None:
    done = run(arguments, orders=REFUSED, payments=REFUSED)
    assert done.code == 1, done
    for name in ("orders", "payments"):
        assert f"{name} is not shown: PERMISSION_DENIED: " in done.err
    assert "PERMISSION_DENIED" in run(arguments, orders=REFUSED).err


@pytest.mark.parametrize("arguments", [each for each in LISTS if each[0] != "events"])
def test_a_context_that_hangs_is_named_in_time(run: Run, arguments: tuple[str, ...]) -> None:
    hung: Mapping[str, Answer] = dict.fromkeys([*EMPTY, "Subscribe"], 60.0)
    done = run((*arguments, "--timeout", "0.3"), orders=EMPTY, payments=hung)
    assert done.code == 6, done
    assert "payments is not shown: NO_ANSWER: no answer from 127.0.0.1:" in done.err
    assert "within 0.3 s" in done.err
    assert run((*arguments, "--timeout", "0.3"), orders=hung).code == 4


def test_what_kept_a_context_from_answering_is_said(run: Run) -> None:
    too_large = {**EMPTY, "ListParked": grpc.StatusCode.RESOURCE_EXHAUSTED}
    done = run(("parked", "list", "--timeout", "0.3"), orders=EMPTY, payments=too_large)
    assert done.code == 6
    assert "within 0.3 s; last error: RESOURCE_EXHAUSTED: " in done.err


def test_a_log_that_ends_early_is_named_and_the_others_are_read(run: Run) -> None:
    event = RecordedEvent(context="orders", type="orders.v1.OrderPlaced", position=1)
    event.recorded_at.FromSeconds(1_700_000_000)
    orders = {**EMPTY, "Subscribe": SubscribeResponse(position=1, event=event)}
    done = run(("events",), orders=orders, payments={**EMPTY, "Subscribe": grpc.StatusCode.PERMISSION_DENIED})
    assert done.code == 6
    assert "OrderPlaced" in done.out
    assert "payments is not shown: PERMISSION_DENIED: " in done.err
    alone = run(("events",), payments={**EMPTY, "Subscribe": grpc.StatusCode.PERMISSION_DENIED})
    assert (alone.code, alone.err.startswith("PERMISSION_DENIED: ")) == (1, True)


def parked(more: bool) -> ListParkedResponse:
    event = RecordedEvent(
        tenant_id="acme", aggregate_type="Order", aggregate_id="o-1", type="a.B", position=7
    )
    return ListParkedResponse(parked=[ParkedEvent(consumer="c", event=event, attempts=1)], more=more)


def test_a_list_that_was_cut_says_so(run: Run) -> None:
    cut = {**EMPTY, "ListParked": parked(more=True)}
    for arguments in (("parked", "list"), ("parked", "show", "c", "Order/o-1")):
        for form in ((), ("--json",)):
            done = run((*arguments, *form), orders=cut)
            assert (done.code, "orders has more parked events" in done.err) == (6, True), done
    done = run(
        ("parked", "replay", "c", "--all"), orders={**cut, "ReplayParked": ReplayParkedResponse(events=1)}
    )
    assert (done.code, "orders has more parked events" in done.err) == (6, True), done
    whole = run(("parked", "list"), orders={**EMPTY, "ListParked": parked(more=False)})
    assert (whole.code, whole.err) == (0, "")


def pages(request: bytes) -> ListParkedResponse:
    """Return the page that a request asks for: 30 pages of one stream each."""
    page = int(ListParkedRequest.FromString(request).page_token or b"0")
    event = RecordedEvent(tenant_id="acme", aggregate_type="Order", aggregate_id=f"o-{page}", position=page)
    parked = [ParkedEvent(consumer="c", event=event, attempts=1)]
    token = str(page + 1).encode() if page < 29 else b""
    # The client itself asks on, up to as many events as one call returns.
    return ListParkedResponse(parked=parked * 400, more=bool(token), next_page_token=token)


def test_all_that_is_parked_is_listed_page_by_page(run: Run) -> None:
    orders: Mapping[str, Answer] = {
        **EMPTY,
        "ListParked": pages,
        "ReplayParked": ReplayParkedResponse(events=400),
    }
    listed = run(("parked", "list", "--json"), orders=orders)
    assert (listed.code, listed.err, len(json.loads(listed.out))) == (0, "", 30 * 400)
    replayed = run(("parked", "replay", "c", "--all"), orders=orders)
    assert (replayed.code, replayed.err, len(replayed.out.splitlines())) == (0, "", 30)


def test_what_is_parked_for_one_cause_is_listed_as_one(run: Run) -> None:
    def event(number: int, error: str) -> ParkedEvent:
        recorded = RecordedEvent(
            tenant_id="acme", aggregate_type="Order", aggregate_id=f"o-{number}", type="a.Placed", position=7
        )
        return ParkedEvent(consumer="c", event=recorded, attempts=1, error=error)

    unopened = [event(n, f"ACCOUNT_NOT_OPEN: there is no account a-{n}") for n in range(30)]
    answer = ListParkedResponse(parked=[event(99, "ValueError: odd"), *unopened])
    orders = {**EMPTY, "ListParked": answer}
    rows = [line.split("│") for line in run(("parked", "list"), orders=orders).out.splitlines()]
    shown = [[cell.strip() for cell in row[1:-1]] for row in rows if len(row) > 3]
    assert [row[:4] for row in shown] == [["c", "Placed", "30", "0"], ["c", "Placed", "1", "0"]]
    assert shown[0][-2:] == ["Order/o-0 of tenant acme", "ACCOUNT_NOT_OPEN: there is no account a-0"]
    each = run(("parked", "list", "--all"), orders=orders).out
    assert [f"a-{n} " in each for n in range(30)] == [True] * 30


def test_what_was_not_found_may_be_where_nobody_answered(run: Run) -> None:
    for arguments in (
        ("parked", "show", "c", "Order/o-1"),
        ("parked", "replay", "c", "Order/o-1"),
        ("parked", "drop", "c", "7", "--reason", "r"),
        ("projections", "rebuild", "Views"),
    ):
        assert run(arguments, orders=EMPTY, payments=REFUSED).code == 6
        assert run(arguments, orders=EMPTY, payments=EMPTY).code in {1, 2}


def test_all_sagas_are_listed_and_a_default_limit_says_that_there_are_more(run: Run) -> None:
    sagas = [SagaInfo(id=f"orders.v1.FulfilOrder/acme/{number}") for number in range(60)]
    orders = {**EMPTY, "ListSagas": ListSagasResponse(sagas=sagas)}
    listed = run(("sagas", "list", "--all", "--json"), orders=orders)
    assert (listed.code, len(json.loads(listed.out))) == (0, 60)
    cut = run(("sagas", "list", "--correlation", "c", "--json"), orders=orders)
    assert (cut.code, len(json.loads(cut.out))) == (6, 50)
    assert "orders has more; a larger --limit shows them" in cut.err
    assert run(("sagas", "list", "--all", "--limit", "2"), orders=orders).code == 0


@contextmanager
def ready(problems: Mapping[str, str]) -> Iterator[str]:
    """Serve the probes of a process, and yield the address of its metrics."""
    endpoint = MetricsEndpoint(lambda: b"", lambda: (False, problems), host="127.0.0.1", port=0)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    asyncio.run_coroutine_threadsafe(endpoint.start(), loop).result()
    try:
        yield f"http://127.0.0.1:{endpoint.port}/metrics"
    finally:
        asyncio.run_coroutine_threadsafe(endpoint.stop(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()


@pytest.mark.parametrize(
    "arguments",
    [
        ("parked", "list"),
        ("projections", "status"),
        ("trace", "c-1"),
        ("query", "GetOrder", '{"order_id": "o"}'),
    ],
)
def test_the_cause_is_shown_that_a_context_itself_knows(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    hung = dict.fromkeys([*EMPTY, "Subscribe", "GetOrder"], 60.0)
    problems = {"store": "no answer within 2 s", "OrderViews": "PostgreSQL is unavailable"}
    with serving(hung) as target, ready(problems) as metrics:
        state = DevState(os.getpid(), "", "", "", {"orders": ContextAddress(target, metrics)})
        state.write(tmp_path)
        done = intent(*arguments, "--timeout", "0.3", env=environment(INTENT_DEV_DATA=str(tmp_path)))
    assert done.code == 4
    assert "it is not ready: store: no answer within 2 s; OrderViews: PostgreSQL is unavailable" in done.err


def test_a_process_that_hangs_altogether_is_called_that(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        address = ContextAddress(f"127.0.0.1:{port}", f"http://127.0.0.1:{port}/metrics")
        DevState(os.getpid(), "", "", "", {"orders": address}).write(tmp_path)
        env = environment(INTENT_DEV_DATA=str(tmp_path))
        done = intent("projections", "status", "--timeout", "0.3", env=env)
    assert done.code == 4
    assert "/readyz does not answer either: the process hangs" in done.err


def test_a_connection_that_ends_prints_nothing_of_grpc_itself() -> None:
    context = Context({**EMPTY, "Subscribe": 60.0})
    server = grpc.server(ThreadPoolExecutor(8))
    server.add_generic_rpc_handlers((context,))
    target = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    following = subprocess.Popen(
        [sys.executable, "-m", "intent.cli", "events", "--follow", "--new", "--target", target, "-t", "acme"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={name: value for name, value in environment().items() if not name.startswith("GRPC_")},
    )
    assert context.subscribed.wait(60)
    context.closing.set()
    server.stop(None).wait()
    with socket.create_server(("127.0.0.1", int(target.rpartition(":")[2]))) as again:
        # It has noticed the end once it connects again.
        again.accept()
    following.send_signal(signal.SIGINT)
    assert (following.communicate(timeout=60)[0], following.returncode) == (b"", 130)
