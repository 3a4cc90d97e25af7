"""Checks aggregate classes against their contracts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from intent.contracts import CommandContract, EventContract, Problems, Registry, StateContract
from intent.model.aggregate import Aggregate
from intent.model.deciding.aggregate_type import AggregateType
from intent.model.handlers import returned_messages
from intent.model.upcasters import Upcasters

__all__ = ["bind_aggregate", "bind_aggregates"]


def bind_aggregates(
    context: str,
    classes: Iterable[type[Aggregate[Any]]],
    registry: Registry,
    upcasters: Upcasters,
    problems: Problems,
) -> dict[str, AggregateType]:
    """Return the aggregates that fit their contracts, by short name.

    Args:
        context: The context's name.
        classes: Its aggregate classes.
        registry: The contracts.
        upcasters: The context's upcasters.
        problems: Where to note what does not fit.
    """
    bound: dict[str, AggregateType] = {}
    declared: dict[str, type[Aggregate[Any]]] = {}
    for cls in classes:
        first = declared.setdefault(cls.name, cls)
        if first is not cls:
            fault = f"is a second aggregate {cls.name}, besides {first.__module__}.{first.__qualname__}"
            problems.add(cls.__module__, cls.__qualname__, fault, "name it once in the context's aggregates")
            continue
        aggregate = bind_aggregate(context, cls, registry, upcasters, problems)
        if aggregate is not None:
            bound[cls.name] = aggregate
    for contract in registry.states.values():
        if contract.context == context and contract.aggregate not in declared:
            fault = f"is the state of {contract.aggregate}, for which the context has no class"
            fix = f"name the class {contract.aggregate} in the context's aggregates"
            problems.add(contract.message.DESCRIPTOR.file.name, contract.type, fault, fix)
    return bound


def bind_aggregate(
    context: str,
    cls: type[Aggregate[Any]],
    registry: Registry,
    upcasters: Upcasters,
    problems: Problems,
) -> AggregateType | None:
    """Return one aggregate; None when the class does not fit its contracts. See `bind_aggregates`."""
    state = _Checks(context, cls, registry, upcasters, problems).run()
    return None if state is None else AggregateType(cls, registry, upcasters, state)


class _Checks:
    """The checks of one aggregate class."""

    def __init__(
        self,
        context: str,
        cls: type[Aggregate[Any]],
        registry: Registry,
        upcasters: Upcasters,
        problems: Problems,
    ) -> None:
        self._context = context
        self._cls = cls
        self._registry = registry
        self._upcasters = upcasters
        self._all = problems
        self._problems = Problems()

    def run(self) -> StateContract | None:
        """Return the state's contract, or None when the class does not fit."""
        self._problems.extend(self._cls.declaration_problems)
        state = self._state()
        self._handlers()
        self._appliers()
        self._returns()
        self._all.extend(self._problems)
        return None if len(self._problems) else state

    def _add(self, method: str, fault: str, fix: str) -> None:
        subject = f"{self._cls.__qualname__}.{method}" if method else self._cls.__qualname__
        self._problems.add(self._cls.__module__, subject, fault, fix)

    def _owns(self, contract: CommandContract | EventContract) -> bool:
        return (contract.context, contract.aggregate) == (self._context, self._cls.name)

    def _state(self) -> StateContract | None:
        state = self._registry.state_of(self._context, self._cls.name)
        if state is None:
            fault = f"is the aggregate {self._cls.name}, for which there is no state in the contracts"
            self._add("", fault, f'mark its state with (intent.v1.state) = {{aggregate: "{self._cls.name}"}}')
        elif self._cls.state_type is not state.message:
            named = self._cls.state_type.DESCRIPTOR
            fault = f"has the state {named.full_name if named else 'of no message'}"
            self._add("", fault, f"its state in the contracts is {state.type}")
        return state

    def _handlers(self) -> None:
        handled = self._cls.command_handlers
        for type_, method in handled.items():
            contract = self._registry.commands.get(type_)
            if contract is None:
                fault = f"handles {type_}, which is no command"
                self._add(method.__name__, fault, "mark the message with (intent.v1.command)")
            elif not self._owns(contract):
                owner = f"{contract.aggregate} of context {contract.context}"
                self._add(method.__name__, f"handles {type_}, a command of {owner}", f"move it to {owner}")
        for contract in self._registry.commands.values():
            if self._owns(contract) and contract.type not in handled:
                name = contract.message.DESCRIPTOR.name
                fix = f"add a method to {self._place}: @handles def …(self, command: {name}) -> …"
                self._missing(contract, "handler", fix)

    def _appliers(self) -> None:
        applied = self._cls.event_appliers
        for type_, method in applied.items():
            contract = self._registry.events.get(type_)
            if contract is None:
                fault = f"applies {type_}, which is no event"
                self._add(method.__name__, fault, "mark the message with (intent.v1.event)")
            elif not self._owns(contract):
                owner = f"{contract.aggregate} of context {contract.context}"
                self._add(method.__name__, f"applies {type_}, an event of {owner}", f"move it to {owner}")
        for contract in self._registry.events.values():
            wanted = self._owns(contract) and not self._upcasters.retired(contract.type)
            if wanted and contract.type not in applied:
                name = contract.message.DESCRIPTOR.name
                fix = f"add a method to {self._place}: @applies def …(self, event: {name}) -> None"
                self._missing(contract, "applier", fix)

    def _returns(self) -> None:
        for method in self._cls.command_handlers.values():
            for message in returned_messages(method):
                contract = self._registry.events.get(message.DESCRIPTOR.full_name)
                if contract is None or not self._owns(contract):
                    fault = f"returns {message.DESCRIPTOR.full_name}, which is no event of {self._cls.name}"
                    self._add(method.__name__, fault, "return events of the aggregate only")

    @property
    def _place(self) -> str:
        return f"{self._cls.__module__}.{self._cls.__qualname__}"

    def _missing(self, contract: CommandContract | EventContract, what: str, fix: str) -> None:
        file = contract.message.DESCRIPTOR.file.name
        self._problems.add(file, contract.type, f"has no {what} in {self._cls.name}", fix)
