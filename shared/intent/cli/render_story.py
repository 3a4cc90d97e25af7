"""Writes a story: as a tree for a person, as plain values for a program."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from intent_contracts.intent.v1 import GetSagaResponse, SagaInfo, SagaStep, SagaStepKind
from rich.markup import escape
from rich.tree import Tree

from intent.cli.formatting import clock, saga_line, seconds_between, span, step_line
from intent.cli.messages import event_fields, event_to_dict, to_dict
from intent.cli.story import Kind, Node, Story, child_id
from intent.contracts import Registry

__all__ = ["as_dict", "as_tree", "saga_tree"]


def as_tree(story: Story, registry: Registry, *, fields: bool = False) -> Tree:
    """Returns a story as a tree of lines, each with its time since the beginning.

    Args:
        story: The story.
        registry: The contracts.
        fields: Whether to show the fields of events.
    """
    tree = Tree(_heading(story), guide_style="dim")
    began = story.began

    def grow(above: Tree, node: Node, under: Kind | None) -> None:
        # The step that sent a command says more of it than the command itself would.
        merged = node.kind is Kind.COMMAND and under is Kind.STEP
        shown = _fields(node, registry) if fields else ""
        line = f"[dim]{_since(node, began)}[/dim] {_LINES[node.kind](node)}{shown}"
        branch = above if merged else above.add(line)
        for child in node.children:
            grow(branch, child, node.kind)

    for root in story.roots:
        grow(tree, root, None)
    for name, why in story.away.items():
        tree.add(f"[bold yellow]{escape(name)} is not shown[/bold yellow]: {escape(why)}")
    return tree


def as_dict(story: Story, registry: Registry) -> dict[str, Any]:
    """Returns a story as plain values; times are in seconds since its beginning."""
    began = story.began

    def plain(node: Node) -> dict[str, Any]:
        return {
            "kind": node.kind.value,
            "context": node.context,
            "seconds": (node.at - began).total_seconds() if node.at and began else None,
            **_facts(node, registry),
            "then": [plain(child) for child in node.children],
        }

    return {
        "correlation_id": story.correlation,
        "tenant": story.tenant,
        "began_at": began.isoformat() if began else None,
        "story": [plain(root) for root in story.roots],
        "away": dict(story.away),
    }


def saga_tree(found: GetSagaResponse) -> Tree:
    """Returns a saga as a tree: its steps with their times since its start, below each what undid it."""
    info, report, began = found.saga, found.report, found.saga.started_at
    heading = f"{saga_line(found)}, began {clock(began.ToDatetime())} UTC"
    if info.HasField("ended_at"):
        heading += f", ended after {span(seconds_between(began, info.ended_at))}"
    tree = Tree(f"{heading}, story {escape(info.correlation_id)}", guide_style="dim")
    steps = {step.path: step for step in report.steps}
    branches: dict[str, Tree] = {}
    for step in sorted(report.steps, key=lambda step: bool(step.compensates)):
        since = f"+{span(max(0.0, seconds_between(began, step.started_at)))}"
        above = branches[step.compensates] if step.compensates in steps else tree
        branches[step.path] = above.add(f"[dim]{since}[/dim] {step_line(step)}{_child(info, step)}")
    if report.untaken:
        tree.add(f"[dim]came, and no step has taken: {escape(', '.join(report.untaken))}[/dim]")
    if found.note:
        tree.add(f"[yellow]{escape(found.note)}[/yellow]")
    return tree


def _child(info: SagaInfo, step: SagaStep) -> str:
    """Returns the id of the saga that a step runs; empty for other steps."""
    if step.kind != SagaStepKind.SAGA_STEP_KIND_CHILD:
        return ""
    return f" [dim]{escape(child_id(info, step))}[/dim]"


def _heading(story: Story) -> str:
    kinds = [node.kind for node in story.nodes]
    contexts = {node.context for node in story.nodes}
    parts = [f"{_many(kinds.count(Kind.EVENT), 'event')} in {_many(len(contexts), 'context')}"]
    if Kind.SAGA in kinds:
        parts.append(_many(kinds.count(Kind.SAGA), "saga"))
    if story.began and story.ended:
        parts += [
            f"began {clock(story.began)} UTC",
            f"{span((story.ended - story.began).total_seconds())} in all",
        ]
    whose = f" of tenant {escape(story.tenant)}" if story.tenant else ""
    return f"[bold]{escape(story.correlation)}[/bold]{whose}: {', '.join(parts)}"


def _since(node: Node, began: datetime | None) -> str:
    return f"+{span((node.at - began).total_seconds())}" if node.at and began else "?"


def _command_line(node: Node) -> str:
    by = f"[dim]by {escape(node.of.actor)}[/dim]"
    return f"[bold]{escape(node.context)}[/bold] command {escape(node.id)} {by}"


def _event_line(node: Node) -> str:
    event = node.of
    stream = escape(f"{event.aggregate_type}/{event.aggregate_id}")
    name = f"[bold green]{event.type.rpartition('.')[2]}[/bold green]"
    return f"{name} {escape(node.context)} {stream} [dim]v{event.version}[/dim]"


def _fields(node: Node, registry: Registry) -> str:
    if node.kind is not Kind.EVENT:
        return ""
    return f" {escape(json.dumps(event_fields(node.of, registry), ensure_ascii=False))}"


_LINES: Final[dict[Kind, Callable[[Node], str]]] = {
    Kind.COMMAND: _command_line,
    Kind.EVENT: _event_line,
    Kind.SAGA: lambda node: f"[bold]{escape(node.context)}[/bold] saga {saga_line(node.of)}",
    Kind.STEP: lambda node: step_line(node.of),
}


def _facts(node: Node, registry: Registry) -> dict[str, Any]:
    if node.kind is Kind.COMMAND:
        return {"command_id": node.id, "actor": node.of.actor, "causation_id": node.of.causation_id}
    if node.kind is Kind.EVENT:
        return {"event": event_to_dict(node.of, registry)}
    return {node.kind.value: to_dict(node.of if node.kind is Kind.STEP else node.of.saga)}


def _many(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
