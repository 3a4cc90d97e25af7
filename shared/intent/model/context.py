"""Declares a bounded context, and binds the declaration to its contracts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from intent.contracts import Problems, Registry
from intent.model.aggregate import Aggregate
from intent.model.binding.aggregates import bind_aggregates
from intent.model.binding.consumers import bind_consumers
from intent.model.binding.reads import check_projections, check_queries
from intent.model.binding.roles import check_roles
from intent.model.binding.sagas import bind_sagas, check_ports
from intent.model.consumer import Consumer
from intent.model.deciding.aggregate_type import AggregateType
from intent.model.projection import Projection
from intent.model.queries import Queries
from intent.model.upcasters import Upcasters
from intent.model.upcasting import Upcaster
from intent.sagas import Adapter, Saga

__all__ = ["BoundContext", "Context"]


@dataclass(frozen=True, slots=True)
class BoundContext:
    """A context whose declaration fits its contracts, ready to run.

    Attributes:
        name: The context's name.
        registry: The contracts of all contexts.
        aggregates: Its aggregates, by their short names.
        projections: Its projections.
        sagas: Its sagas, by the full names of their messages.
        ports: The adapters of its sagas' ports, by the names of the ports.
        consumers: Its consumers, each with the context whose events it takes.
        queries: The class that answers its queries, or None.
        upcasters: Its upcasters, chained.
        migrations: The folder of its own database migrations, or None.
    """

    name: str
    registry: Registry
    aggregates: Mapping[str, AggregateType]
    projections: Sequence[type[Projection[Any]]]
    sagas: Mapping[str, type[Saga]]
    ports: Mapping[str, Adapter]
    consumers: Mapping[type[Consumer], str]
    queries: type[Queries] | None
    upcasters: Upcasters
    migrations: str | None


@dataclass(frozen=True)
class Context:
    """What one bounded context consists of.

    Attributes:
        name: The context's name: the proto package of its contracts without the version.
        aggregates: Its aggregates.
        projections: Its projections.
        sagas: Its sagas.
        ports: The adapters of its sagas' ports.
        consumers: What it does with other contexts' events.
        queries: The class that answers its queries, or None.
        upcasters: Upcasters for its events and states, in any order.
        migrations: The folder of its own database migrations, or None.
    """

    name: str
    aggregates: Sequence[type[Aggregate[Any]]] = ()
    projections: Sequence[type[Projection[Any]]] = ()
    sagas: Sequence[type[Saga]] = ()
    ports: Sequence[Adapter] = ()
    consumers: Sequence[type[Consumer]] = ()
    queries: type[Queries] | None = None
    upcasters: Sequence[Upcaster[Any, Any]] = ()
    migrations: str | None = None

    def bind(self, registry: Registry) -> BoundContext:
        """Check the declaration against the contracts.

        Raises:
            ContractError: It contradicts them; lists every contradiction.
        """
        problems = Problems()
        if self.name not in registry.contexts:
            known = ", ".join(registry.contexts) or "none"
            fix = f"name the context as its proto package, without the version; known are: {known}"
            problems.add("context", self.name, "has no contracts", fix)
        upcasters = Upcasters(self.upcasters, registry, problems)
        upcasters.check(self.name, problems)
        check_roles(self.name, registry, problems)
        aggregates = bind_aggregates(self.name, self.aggregates, registry, upcasters, problems)
        check_projections(self.name, self.projections, registry, problems)
        check_queries(self.name, self.queries, registry, problems)
        sagas = bind_sagas(self.name, self.sagas, registry, problems)
        ports = check_ports(self.name, self.ports, problems)
        consumers = bind_consumers(self.name, self.consumers, registry, problems)
        problems.refuse()
        return BoundContext(
            name=self.name,
            registry=registry,
            aggregates=MappingProxyType(aggregates),
            projections=tuple(self.projections),
            sagas=MappingProxyType(sagas),
            ports=MappingProxyType(ports),
            consumers=MappingProxyType(consumers),
            queries=self.queries,
            upcasters=upcasters,
            migrations=self.migrations,
        )
