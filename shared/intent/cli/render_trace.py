"""Render traces and sagas: as trees for a person, as plain values for a program."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from intent_contracts.intent.v1 import GetSagaResponse, SagaInfo, SagaStep, SagaStepKind
from rich.tree import Tree

from intent.cli.formatting import format_duration, format_time, saga_line, seconds_between, step_line
from intent.cli.output import markup
from intent.cli.plain import event_fields, event_to_dict, to_dict
from intent.cli.trace_tree import NodeKind, Trace, TraceNode, child_saga_id
from intent.contracts import Registry

__all__ = ["saga_as_tree", "trace_as_dict", "trace_as_tree"]


def trace_as_tree(trace: Trace, registry: Registry, *, fields: bool = False) -> Tree:
    """Return a trace as a tree of lines, each with its time since the beginning.

    Args:
        trace: The trace.
        registry: The contracts.
        fields: Whether to show the fields of events.
    """
    tree = Tree(_heading(trace), guide_style="dim")
    began = trace.began

    def grow(branch: Tree, node: TraceNode, parent: NodeKind | None) -> None:
        # The line of the step that sent a command says more than the command's own line would.
        merged = node.kind is NodeKind.COMMAND and parent is NodeKind.STEP
        suffix = _fields(node, registry) if fields else ""
        line = f"[dim]{_since(node, began)}[/dim] {_LINES[node.kind](node)}{suffix}"
        below = branch if merged else branch.add(line)
        for child in node.children:
            grow(below, child, node.kind)

    for root in trace.roots:
        grow(tree, root, None)
    for context, why in trace.missing.items():
        tree.add(f"[bold yellow]{markup(context)} is not shown[/bold yellow]: {markup(why)}")
    return tree


def trace_as_dict(trace: Trace, registry: Registry) -> dict[str, Any]:
    """Return a trace as plain values; times are in seconds since its beginning."""
    began = trace.began

    def plain(node: TraceNode) -> dict[str, Any]:
        return {
            "kind": node.kind.value,
            "context": node.context,
            "seconds": (node.at - began).total_seconds() if node.at and began else None,
            **_details(node, registry),
            "then": [plain(child) for child in node.children],
        }

    return {
        "correlation_id": trace.correlation,
        "tenant": trace.tenant,
        "began_at": began.isoformat() if began else None,
        "roots": [plain(root) for root in trace.roots],
        "unavailable": dict(trace.missing),
    }


def saga_as_tree(response: GetSagaResponse) -> Tree:
    """Return a saga as a tree: its steps with their times since its start, each above its compensation."""
    info, report, began = response.saga, response.report, response.saga.started_at
    heading = f"{saga_line(response)}, began {format_time(began.ToDatetime())} UTC"
    if info.HasField("ended_at"):
        heading += f", ended after {format_duration(seconds_between(began, info.ended_at))}"
    tree = Tree(f"{heading}, correlation {markup(info.correlation_id)}", guide_style="dim")
    steps = {step.path: step for step in report.steps}
    branches: dict[str, Tree] = {}
    for step in sorted(report.steps, key=lambda step: bool(step.compensates)):
        since = f"+{format_duration(max(0.0, seconds_between(began, step.started_at)))}"
        branch = branches[step.compensates] if step.compensates in steps else tree
        branches[step.path] = branch.add(f"[dim]{since}[/dim] {step_line(step)}{_child(info, step)}")
    if report.untaken:
        tree.add(f"[dim]arrived, but not taken by a step: {markup(', '.join(report.untaken))}[/dim]")
    if report.omitted:
        tree.add(f"[dim]{_count(report.omitted, 'step')} in the middle left out[/dim]")
    if report.warning:
        tree.add(f"[yellow]{markup(report.warning)}[/yellow]")
    if response.note:
        tree.add(f"[yellow]{markup(response.note)}[/yellow]")
    return tree


def _child(info: SagaInfo, step: SagaStep) -> str:
    """Return the id of the saga that a step runs; empty for other steps."""
    if step.kind != SagaStepKind.SAGA_STEP_KIND_CHILD:
        return ""
    return f" [dim]{markup(child_saga_id(info, step))}[/dim]"


def _heading(trace: Trace) -> str:
    kinds = [node.kind for node in trace.nodes]
    contexts = {node.context for node in trace.nodes}
    parts = [f"{_count(kinds.count(NodeKind.EVENT), 'event')} in {_count(len(contexts), 'context')}"]
    if NodeKind.SAGA in kinds:
        parts.append(_count(kinds.count(NodeKind.SAGA), "saga"))
    if trace.began and trace.ended:
        parts += [
            f"began {format_time(trace.began)} UTC",
            f"{format_duration((trace.ended - trace.began).total_seconds())} in all",
        ]
    tenant = f" of tenant {markup(trace.tenant)}" if trace.tenant else ""
    return f"[bold]{markup(trace.correlation)}[/bold]{tenant}: {', '.join(parts)}"


def _since(node: TraceNode, began: datetime | None) -> str:
    return f"+{format_duration((node.at - began).total_seconds())}" if node.at and began else "?"


def _command_line(node: TraceNode) -> str:
    actor = f"[dim]by {markup(node.message.actor)}[/dim]"
    return f"[bold]{markup(node.context)}[/bold] command {markup(node.id)} {actor}"


def _event_line(node: TraceNode) -> str:
    event = node.message
    stream = markup(f"{event.aggregate_type}/{event.aggregate_id}")
    name = f"[bold green]{markup(event.type.rpartition('.')[2])}[/bold green]"
    return f"{name} {markup(node.context)} {stream} [dim]v{event.version}[/dim]"


def _fields(node: TraceNode, registry: Registry) -> str:
    if node.kind is not NodeKind.EVENT:
        return ""
    return f" {markup(json.dumps(event_fields(node.message, registry), ensure_ascii=False))}"


_LINES: Final[dict[NodeKind, Callable[[TraceNode], str]]] = {
    NodeKind.COMMAND: _command_line,
    NodeKind.EVENT: _event_line,
    NodeKind.SAGA: lambda node: f"[bold]{markup(node.context)}[/bold] saga {saga_line(node.message)}",
    NodeKind.STEP: lambda node: step_line(node.message),
}


def _details(node: TraceNode, registry: Registry) -> dict[str, Any]:
    message = node.message
    if node.kind is NodeKind.COMMAND:
        return {"command_id": node.id, "actor": message.actor, "causation_id": message.causation_id}
    if node.kind is NodeKind.EVENT:
        return {"event": event_to_dict(message, registry)}
    return {node.kind.value: to_dict(message if node.kind is NodeKind.STEP else message.saga)}


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
