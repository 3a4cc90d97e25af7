"""Build the trace of a correlation: a forest of commands, events, sagas and steps by their causes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from google.protobuf.message import DecodeError
from google.protobuf.timestamp_pb2 import Timestamp
from intent_contracts.intent.v1 import GetSagaResponse, RecordedEvent, SagaInfo, SagaStep

from intent.contracts import Registry, SagaContract

__all__ = ["NodeKind", "Trace", "TraceNode", "child_saga_id", "trace_roots"]


class NodeKind(StrEnum):
    """What a node of a trace is."""

    COMMAND = "command"
    EVENT = "event"
    SAGA = "saga"
    STEP = "step"


@dataclass(slots=True, eq=False)
class TraceNode:
    """One node of a trace, with what followed from it.

    Attributes:
        kind: What it is.
        id: How others name it as their cause: a command's, an event's or a saga's id.
        context: The context that it belongs to.
        at: When it happened or started, in UTC; None when that is not known.
        message: The message that it is made from: of a command its first event, of a step its saga's.
        children: What followed from it, in the order of time.
    """

    kind: NodeKind
    id: str
    context: str
    at: datetime | None
    message: Any
    children: list[TraceNode] = field(default_factory=list)

    def walk(self) -> Iterator[TraceNode]:
        """Yield the node and everything that followed from it."""
        yield self
        for child in self.children:
            yield from child.walk()


@dataclass(frozen=True, slots=True)
class Trace:
    """Everything that shares one correlation id.

    Attributes:
        correlation: The correlation id.
        tenant: The tenant; empty when only the caller's token says it.
        roots: The nodes without a known cause.
        missing: The contexts that could not be asked, and why.
    """

    correlation: str
    tenant: str
    roots: Sequence[TraceNode]
    missing: Mapping[str, str]

    @property
    def nodes(self) -> list[TraceNode]:
        """Every node."""
        return [node for root in self.roots for node in root.walk()]

    @property
    def began(self) -> datetime | None:
        """The time of the first node; None without any."""
        return min((node.at for node in self.nodes if node.at), default=None)

    @property
    def ended(self) -> datetime | None:
        """The time of the last node; None without any."""
        return max((node.at for node in self.nodes if node.at), default=None)


def trace_roots(
    events: Iterable[RecordedEvent], sagas: Sequence[GetSagaResponse], registry: Registry
) -> list[TraceNode]:
    """Return the nodes without a known cause, each with everything that followed from it.

    A command is a child of the step of the saga that sent it, else of the event or command that it names
    as its cause; a saga is a child of the step that runs it or of the event that started it. A node
    whose cause is missing, because that cause's context is unavailable, is a root.

    Args:
        events: The events of one correlation, from any contexts.
        sagas: Its sagas, with their steps.
        registry: The contracts.
    """
    command_nodes = _commands(events)
    saga_nodes = [_saga(response, registry) for response in sagas]
    by_id = {
        node.id: node
        for root in (*command_nodes, *saga_nodes)
        for node in root.walk()
        if node.kind is not NodeKind.STEP
    }
    steps = [(saga.message.saga, step) for saga in saga_nodes for step in saga.children]
    senders = {step.message.command_id: step for _, step in steps if step.message.command_id}
    parents = {child_saga_id(info, step.message): step for info, step in steps}
    caused = [(node, senders.get(node.id) or by_id.get(_cause_of(node))) for node in command_nodes]
    caused += [
        (node, parents.get(node.id) or _started_by(node, command_nodes, registry)) for node in saga_nodes
    ]
    return _forest(caused)


def child_saga_id(saga: SagaInfo, step: SagaStep) -> str:
    """Return the id of the saga that a step of a saga runs."""
    return f"{step.name}/{saga.tenant_id}/{saga.correlation}/{step.path}"


def _commands(events: Iterable[RecordedEvent]) -> list[TraceNode]:
    commands: dict[tuple[str, str], TraceNode] = {}
    for event in sorted(events, key=lambda e: (_time(e.recorded_at), e.context, e.position)):
        node = _event(event)
        command = commands.setdefault(
            (event.context, event.command_id),
            TraceNode(NodeKind.COMMAND, event.command_id, event.context, node.at, event),
        )
        command.children.append(node)
    return list(commands.values())


def _event(event: RecordedEvent) -> TraceNode:
    return TraceNode(NodeKind.EVENT, event.event_id, event.context, _when(event.recorded_at), event)


def _saga(response: GetSagaResponse, registry: Registry) -> TraceNode:
    info = response.saga
    contract = registry.sagas.get(info.type)
    context = contract.context if contract else info.type.partition(".")[0]
    node = TraceNode(NodeKind.SAGA, info.id, context, _when(info.started_at), response)
    node.children = [_step(step, context) for step in response.report.steps]
    return node


def _step(step: SagaStep, context: str) -> TraceNode:
    return TraceNode(NodeKind.STEP, step.command_id, context, _when(step.started_at), step)


def _cause_of(command: TraceNode) -> str:
    cause: str = command.message.causation_id
    return "" if cause == command.id else cause


def _started_by(saga: TraceNode, commands: Iterable[TraceNode], registry: Registry) -> TraceNode | None:
    info: SagaInfo = saga.message.saga
    contract = registry.sagas.get(info.type)
    if contract is None:
        return None
    for event in sorted((e for c in commands for e in c.children), key=_order):
        if event.message.type in contract.starts_on and info.correlation == _correlation(
            contract, registry, event.message
        ):
            return event
    return None


def _correlation(contract: SagaContract, registry: Registry, event: RecordedEvent) -> str | None:
    """Return the correlation of the saga that an event starts; None if the event is malformed."""
    try:
        message = registry.events[event.type].message.FromString(event.data)
    except DecodeError:
        return None
    return contract.correlation(message, event.aggregate_id)


def _forest(caused: Iterable[tuple[TraceNode, TraceNode | None]]) -> list[TraceNode]:
    """Add each node to the children of its cause, and return the nodes without one in the order of time.

    A node that would be its own descendant becomes a root: ids of causes come from callers.
    """
    roots = []
    for node, cause in caused:
        if cause is None or any(cause is inner for inner in node.walk()):
            roots.append(node)
        else:
            cause.children.append(node)
    for root in roots:
        for node in root.walk():
            node.children.sort(key=_order)
    return sorted(roots, key=_order)


def _order(node: TraceNode) -> tuple[datetime, bool]:
    """Sort by time, an event before what follows from it."""
    return (node.at or datetime.min.replace(tzinfo=UTC), node.kind is not NodeKind.EVENT)


def _time(stamp: Timestamp) -> tuple[int, int]:
    return stamp.seconds, stamp.nanos


def _when(stamp: Timestamp) -> datetime | None:
    return stamp.ToDatetime(UTC) if stamp.seconds else None
