"""Traces: events and sagas become a forest by their causes."""

from __future__ import annotations

from intent.cli.formatting import format_duration
from intent.cli.render_trace import saga_as_tree, trace_as_dict, trace_as_tree
from intent.cli.trace_tree import NodeKind, Trace, TraceNode, trace_roots
from intent.contracts import Registry
from intent_contracts.intent.v1 import (
    GetSagaResponse,
    RecordedEvent,
    SagaInfo,
    SagaReport,
    SagaStatus,
    SagaStep,
    SagaStepKind,
    SagaStepStatus,
)
from intent_contracts.orders.v1 import CheckoutStarted
from rich.console import Console
from rich.tree import Tree

REGISTRY = Registry.load()


def event(name: str, at: float, command: str, cause: str = "", context: str = "orders") -> RecordedEvent:
    recorded = RecordedEvent(
        context=context,
        type=f"{context}.v1.{name}",
        event_id=f"event {name}",
        command_id=command,
        causation_id=cause,
        aggregate_type="Thing",
        aggregate_id="t-1",
        version=1,
        actor="user:ann",
    )
    recorded.recorded_at.FromMilliseconds(1_700_000_000_000 + round(at * 1000))
    return recorded


def step(path: str, at: float, name: str, command: str = "", **more: object) -> SagaStep:
    saga_step = SagaStep(
        path=path,
        kind=SagaStepKind.SAGA_STEP_KIND_COMMAND,
        name=name,
        command_id=command,
        status=SagaStepStatus.SAGA_STEP_STATUS_DONE,
        **more,  # type: ignore[arg-type]
    )
    saga_step.started_at.FromMilliseconds(1_700_000_000_000 + round(at * 1000))
    saga_step.ended_at.FromMilliseconds(1_700_000_000_000 + round(at * 1000) + 5)
    return saga_step


def saga(at: float, *steps: SagaStep, correlation: str = "t-1") -> GetSagaResponse:
    info = SagaInfo(
        id=f"orders.v1.FulfilOrder/acme/{correlation}",
        type="orders.v1.FulfilOrder",
        tenant_id="acme",
        correlation=correlation,
        status=SagaStatus.SAGA_STATUS_COMPENSATED,
    )
    info.started_at.FromMilliseconds(1_700_000_000_000 + round(at * 1000))
    report = SagaReport(steps=steps, failure_reason="PAYMENT_DECLINED", failure_detail="no money")
    return GetSagaResponse(saga=info, report=report)


def shape(nodes: list[TraceNode]) -> list[object]:
    """Return a forest as names, each with those of its children."""
    return [(_name(node), shape(node.children)) if node.children else _name(node) for node in nodes]


def _name(node: TraceNode) -> str:
    if node.kind is NodeKind.EVENT:
        return str(node.message.type.rpartition(".")[2])
    if node.kind is NodeKind.STEP:
        return f"step {node.message.path}"
    return f"{node.kind} {node.id}" if node.kind is NodeKind.COMMAND else str(node.kind)


def lines_of(tree: Tree) -> list[str]:
    console = Console(width=200, force_terminal=False)
    with console.capture() as captured:
        console.print(tree)
    return captured.get().splitlines()


def rendered(nodes: list[TraceNode], missing: dict[str, str] | None = None) -> list[str]:
    return lines_of(trace_as_tree(Trace("s-1", "acme", nodes, missing or {}), REGISTRY))


def test_events_of_one_command_are_its_children() -> None:
    roots = trace_roots([event("OrderPlaced", 0, "c1"), event("CheckoutStarted", 0, "c1")], [], REGISTRY)
    assert shape(roots) == [("command c1", ["OrderPlaced", "CheckoutStarted"])]


def test_a_command_is_a_child_of_the_event_or_command_that_caused_it() -> None:
    events = [
        event("StockReserved", 2, "c2", "event OrderPlaced", "inventory"),
        event("OrderPlaced", 1, "c1"),
        event("OrderConfirmed", 3, "c3", "c2"),
    ]
    below = ("command c2", ["StockReserved", ("command c3", ["OrderConfirmed"])])
    assert shape(trace_roots(events, [], REGISTRY)) == [("command c1", [("OrderPlaced", [below])])]


def test_a_command_whose_cause_is_missing_is_a_root() -> None:
    events = [
        event("OrderConfirmed", 2, "c2", "event of an unavailable context"),
        event("OrderPlaced", 1, "c1"),
    ]
    assert shape(trace_roots(events, [], REGISTRY)) == [
        ("command c1", ["OrderPlaced"]),
        ("command c2", ["OrderConfirmed"]),
    ]


def test_causes_in_a_circle_hide_nothing() -> None:
    events = [
        event("OrderPlaced", 1, "c1", "event OrderConfirmed"),
        event("OrderConfirmed", 2, "c2", "event OrderPlaced"),
        event("OrderCancelled", 3, "c3", "c3"),
    ]
    names = {_name(node) for root in trace_roots(events, [], REGISTRY) for node in root.walk()}
    assert {"OrderPlaced", "OrderConfirmed", "OrderCancelled"} <= names


def test_a_saga_is_a_child_of_the_event_that_started_it_and_its_commands_of_its_steps() -> None:
    started = event("CheckoutStarted", 1, "c1")
    started.data = CheckoutStarted().SerializeToString()
    events = [started, event("StockReserved", 2, "c2", "event CheckoutStarted", "inventory")]
    steps = (step("1", 1.5, "inventory.v1.ReserveStock", "c2"), step("2", 3, "payments.v1.AuthorizePayment"))
    assert shape(trace_roots(events, [saga(1.2, *steps)], REGISTRY)) == [
        (
            "command c1",
            [("CheckoutStarted", [("saga", [("step 1", [("command c2", ["StockReserved"])]), "step 2"])])],
        )
    ]


def test_a_saga_that_another_runs_is_a_child_of_its_step() -> None:
    running = step("2", 3, "orders.v1.RefundOrder")
    running.kind = SagaStepKind.SAGA_STEP_KIND_CHILD
    child = saga(3.1, step("1", 3.2, "payments.v1.CancelPayment"), correlation="t-1/2")
    child.saga.type, child.saga.id = "orders.v1.RefundOrder", "orders.v1.RefundOrder/acme/t-1/2"
    roots = trace_roots([], [child, saga(1, running)], REGISTRY)
    assert shape(roots) == [("saga", [("step 2", [("saga", ["step 1"])])])]


def test_a_saga_of_another_correlation_is_no_child_of_an_event() -> None:
    roots = trace_roots([event("CheckoutStarted", 1, "c1")], [saga(2, correlation="t-2")], REGISTRY)
    assert shape(roots) == [("command c1", ["CheckoutStarted"]), "saga"]


def test_a_trace_is_rendered_with_times_reasons_and_missing_contexts() -> None:
    rejected = step("2", 1.7, "payments.v1.AuthorizePayment")
    rejected.status = SagaStepStatus.SAGA_STEP_STATUS_REJECTED
    rejected.reason, rejected.detail = "PAYMENT_DECLINED", "no money"
    undone = step("undo-1", 1.9, "inventory.v1.ReleaseStock", compensates="1", attempts=2)
    events = [event("CheckoutStarted", 1, "c1"), event("StockReserved", 1.6, "c2", "", "inventory")]
    roots = trace_roots(
        events, [saga(1.2, step("1", 1.5, "inventory.v1.ReserveStock", "c2"), rejected, undone)], REGISTRY
    )
    lines = [line.strip("│├└─ ") for line in rendered(roots, {"payments": "no answer"})]
    assert lines == [
        "s-1 of tenant acme: 2 events in 2 contexts, 1 saga, "
        "began 2023-11-14 22:13:21.000 UTC, 900 ms in all",
        "+0 ms orders command c1 by user:ann",
        "+0 ms CheckoutStarted orders Thing/t-1 v1",
        "+200 ms orders saga FulfilOrder t-1 compensated (PAYMENT_DECLINED: no money)",
        "+500 ms 1 inventory.v1.ReserveStock done, in 5 ms",
        "+600 ms StockReserved inventory Thing/t-1 v1",
        "+700 ms 2 payments.v1.AuthorizePayment rejected, in 5 ms (PAYMENT_DECLINED: no money)",
        "+900 ms undo-1 inventory.v1.ReleaseStock done, in 5 ms, tried 2 times",
        "payments is not shown: no answer",
    ]


def test_a_saga_is_rendered_with_each_step_above_its_compensation() -> None:
    waits = step("2", 2, "payments.v1.PaymentAuthorized, payments.v1.PaymentDeclined")
    waits.kind, waits.status = SagaStepKind.SAGA_STEP_KIND_EVENT, SagaStepStatus.SAGA_STEP_STATUS_TIMED_OUT
    undone = step("undo-1", 3, "inventory.v1.ReleaseStock", compensates="1")
    undone.status, undone.reason = SagaStepStatus.SAGA_STEP_STATUS_PARKED, "WAREHOUSE_CLOSED"
    undone.ClearField("ended_at")
    late = step("undo-3", 2.5, "orders.v1.AbandonOrder", compensates="3")
    found = saga(1, step("1", 1.5, "inventory.v1.ReserveStock"), waits, late, undone)
    found.saga.correlation_id, found.note = "s-1", "no worker answers"
    found.report.untaken.append("orders.v1.OrderCancelled")
    assert lines_of(saga_as_tree(found)) == [
        "FulfilOrder t-1 compensated (PAYMENT_DECLINED: no money), "
        "began 2023-11-14 22:13:21.000 UTC, correlation s-1",
        "├── +500 ms 1 inventory.v1.ReserveStock done, in 5 ms",
        "│   └── +2.00 s undo-1 inventory.v1.ReleaseStock parked (WAREHOUSE_CLOSED)",
        "├── +1.00 s 2 wait for PaymentAuthorized or PaymentDeclined timed out, in 5 ms",
        "├── +1.50 s undo-3 orders.v1.AbandonOrder done, in 5 ms",
        "├── arrived, but not taken by a step: orders.v1.OrderCancelled",
        "└── no worker answers",
    ]


def test_a_trace_as_values_has_the_same_shape() -> None:
    roots = trace_roots([event("OrderPlaced", 1, "c1")], [], REGISTRY)
    (command,) = trace_as_dict(Trace("s-1", "acme", roots, {}), REGISTRY)["roots"]
    assert (command["kind"], command["command_id"], command["seconds"]) == ("command", "c1", 0.0)
    assert command["then"][0]["event"]["type"] == "orders.v1.OrderPlaced"


def test_durations_are_written_in_units_that_people_use() -> None:
    seconds = (0, 0.0124, 0.9994, 1.25, 59.999, 60, 125, 7380, 90_000, 172_800)
    assert [format_duration(each) for each in seconds] == [
        *("0 ms", "12 ms", "999 ms", "1.25 s", "60.00 s"),
        *("1 min", "2 min 5 s", "2 h 3 min", "1 d 1 h", "2 d"),
    ]
