"""The contracts of a context, as intent.v1.Commands/Describe returns them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib.metadata import version
from typing import Protocol, TypeVar

from intent_contracts.intent.v1 import (
    CommandDescription,
    CommandOwnership,
    DescribeResponse,
    EventDescription,
    QueryDescription,
    QueryOwnership,
    ReadModelDescription,
    SagaDescription,
)

from intent.service.protocols import ServedContext

__all__ = ["describe"]


class _Contract(Protocol):
    @property
    def type(self) -> str: ...
    @property
    def context(self) -> str: ...


ContractT = TypeVar("ContractT", bound=_Contract)


def describe(context: ServedContext) -> DescribeResponse:
    """Return the description of a context, each list sorted by type."""
    registry = context.registry
    writers = {p.read_model.DESCRIPTOR.full_name: p.name for p in context.projections}
    return DescribeResponse(
        context=context.name,
        version=version("intent"),
        commands=[
            CommandDescription(
                type=c.type,
                aggregate=c.aggregate,
                aggregate_id_field=c.id_field,
                roles=sorted(c.roles),
                method=c.method,
                rejects=c.rejects,
                owned=[CommandOwnership(role=o.role, **{o.by.value: o.field}) for o in c.owned],
            )
            for c in _own(context, registry.commands)
        ],
        events=[
            EventDescription(type=e.type, aggregate=e.aggregate, schema_version=e.version)
            for e in _own(context, registry.events)
        ],
        queries=[
            QueryDescription(
                type=q.type,
                method=q.method,
                roles=sorted(q.roles),
                owned=[QueryOwnership(role=o.role, **{o.by.value: o.field}) for o in q.owned],
            )
            for q in _own(context, registry.queries)
        ],
        read_models=[
            ReadModelDescription(
                type=m.type, table=m.table, key=m.key, indexed=m.indexed, projection=writers.get(m.type, "")
            )
            for m in _own(context, registry.read_models)
        ],
        sagas=[
            SagaDescription(type=s.type, starts_on=s.starts_on, listens_to=s.listens_to)
            for s in _own(context, registry.sagas)
        ],
    )


def _own(context: ServedContext, contracts: Mapping[str, ContractT]) -> Iterable[ContractT]:
    return sorted((c for c in contracts.values() if c.context == context.name), key=lambda c: c.type)
