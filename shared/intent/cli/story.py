"""Tells what followed from what, over all contexts: a forest of commands, events, sagas and steps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp
from intent_contracts.intent.v1 import GetSagaResponse, RecordedEvent, SagaInfo, SagaStep

from intent.contracts import Registry

__all__ = ["Kind", "Node", "Story", "child_id", "tell"]


class Kind(StrEnum):
    """What a part of a story is."""

    COMMAND = "command"
    EVENT = "event"
    SAGA = "saga"
    STEP = "step"


@dataclass(slots=True, eq=False)
class Node:
    """One part of a story, with what followed from it.

    Attributes:
        kind: What it is.
        id: How others name it as their cause: a command's, an event's or a saga's id.
        context: The context that it belongs to.
        at: When it happened or began, in UTC; None when that is not known.
        of: The message that it is made from: of a command its first event, of a step its saga's.
        children: What followed from it, in the order of time.
    """

    kind: Kind
    id: str
    context: str
    at: datetime | None
    of: Any
    children: list[Node] = field(default_factory=list)

    def walk(self) -> Iterator[Node]:
        """Yields itself and all that followed."""
        yield self
        for child in self.children:
            yield from child.walk()


@dataclass(frozen=True, slots=True)
class Story:
    """All that shares one correlation id.

    Attributes:
        correlation: The correlation id.
        tenant: Whose story it is; empty when only the caller's token says it.
        roots: What began it.
        away: What could not be asked, and why.
    """

    correlation: str
    tenant: str
    roots: Sequence[Node]
    away: Mapping[str, str]

    @property
    def nodes(self) -> list[Node]:
        """Every part of it."""
        return [node for root in self.roots for node in root.walk()]

    @property
    def began(self) -> datetime | None:
        """When it began; None for an empty one."""
        return min((node.at for node in self.nodes if node.at), default=None)

    @property
    def ended(self) -> datetime | None:
        """When the last of it happened that is known; None for an empty one."""
        return max((node.at for node in self.nodes if node.at), default=None)


def tell(events: Iterable[RecordedEvent], sagas: Sequence[GetSagaResponse], registry: Registry) -> list[Node]:
    """Returns what began the story, each with all that followed from it.

    A command stands below the step of the saga that sent it, else below the event or command that
    it names as its cause; a saga below the step that runs it or the event that started it. What
    has a cause that is not there, because its context is away, begins a story of its own.

    Args:
        events: The events of one correlation, from any contexts.
        sagas: Its sagas, with their steps.
        registry: The contracts.
    """
    commands = _commands(events)
    told = [_saga(found, registry) for found in sagas]
    known = {node.id: node for top in (*commands, *told) for node in top.walk() if node.kind is not Kind.STEP}
    steps = {step.of.command_id: step for saga in told for step in saga.children if step.of.command_id}
    below = [(node, steps.get(node.id) or known.get(_cause_of(node))) for node in commands]
    children = {child_id(saga.of.saga, step.of): step for saga in told for step in saga.children}
    below += [(node, children.get(node.id) or _started_by(node, commands, registry)) for node in told]
    return _forest(below)


def child_id(saga: SagaInfo, step: SagaStep) -> str:
    """Returns the id of the saga that a step of a saga runs."""
    return f"{step.name}/{saga.tenant_id}/{saga.correlation}/{step.path}"


def _commands(events: Iterable[RecordedEvent]) -> list[Node]:
    found: dict[tuple[str, str], Node] = {}
    for event in sorted(events, key=lambda e: (_time(e.recorded_at), e.context, e.position)):
        node = _event(event)
        command = found.setdefault(
            (event.context, event.command_id),
            Node(Kind.COMMAND, event.command_id, event.context, node.at, event),
        )
        command.children.append(node)
    return list(found.values())


def _event(event: RecordedEvent) -> Node:
    return Node(Kind.EVENT, event.event_id, event.context, _when(event.recorded_at), event)


def _saga(found: GetSagaResponse, registry: Registry) -> Node:
    info = found.saga
    contract = registry.sagas.get(info.type)
    context = contract.context if contract else info.type.partition(".")[0]
    node = Node(Kind.SAGA, info.id, context, _when(info.started_at), found)
    node.children = [_step(step, context) for step in found.report.steps]
    return node


def _step(step: SagaStep, context: str) -> Node:
    return Node(Kind.STEP, step.command_id, context, _when(step.started_at), step)


def _cause_of(command: Node) -> str:
    cause: str = command.of.causation_id
    return "" if cause == command.id else cause


def _started_by(saga: Node, commands: Iterable[Node], registry: Registry) -> Node | None:
    info: SagaInfo = saga.of.saga
    contract = registry.sagas.get(info.type)
    if contract is None:
        return None
    for event in sorted((e for c in commands for e in c.children), key=_order):
        if event.of.type in contract.starts_on and info.correlation == contract.correlation(
            registry.events[event.of.type].message.FromString(event.of.data), event.of.aggregate_id
        ):
            return event
    return None


def _forest(below: Sequence[tuple[Node, Node | None]]) -> list[Node]:
    """Puts each node below its cause and returns those without one, in the order of time.

    What would stand below itself stands alone: ids of causes come from callers.
    """
    roots = []
    for node, cause in below:
        if cause is None or any(cause is inner for inner in node.walk()):
            roots.append(node)
        else:
            cause.children.append(node)
    for root in roots:
        for node in root.walk():
            node.children.sort(key=_order)
    return sorted(roots, key=_order)


def _order(node: Node) -> tuple[datetime, bool]:
    """Sorts by time, an event before what follows from it."""
    return (node.at or datetime.min.replace(tzinfo=UTC), node.kind is not Kind.EVENT)


def _time(stamp: Timestamp) -> tuple[int, int]:
    return stamp.seconds, stamp.nanos


def _when(stamp: Timestamp) -> datetime | None:
    return stamp.ToDatetime(UTC) if stamp.seconds else None
