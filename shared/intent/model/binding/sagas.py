"""Checks sagas and ports against their contracts."""

from __future__ import annotations

import inspect
from collections.abc import Iterable

from intent.contracts import Problems, Registry, SagaContract
from intent.model.binding.rejections import check_rejections
from intent.model.marks import read_marks
from intent.sagas import Adapter, Saga, start_types

__all__ = ["bind_sagas", "check_ports"]


def bind_sagas(
    context: str, sagas: Iterable[type[Saga]], registry: Registry, problems: Problems
) -> dict[str, type[Saga]]:
    """Return the sagas by the full names of their messages, noting what does not fit."""
    contracts = {
        contract.message.DESCRIPTOR.name: contract
        for contract in registry.sagas.values()
        if contract.context == context
    }
    bound: dict[str, type[Saga]] = {}
    for saga in sagas:
        contract = contracts.get(saga.name)
        if contract is None:
            known = ", ".join(sorted(contracts)) or "none"
            fix = f"mark a message {saga.name} with (intent.v1.saga); the context's sagas are: {known}"
            problems.add(saga.__module__, saga.__qualname__, f"is no saga of the context {context}", fix)
        elif contract.type in bound:
            fault, fix = f"is a second class of {contract.type}", "name one in the context's sagas"
            problems.add(saga.__module__, saga.__qualname__, fault, fix)
        else:
            bound[contract.type] = saga
            _check_saga(saga, contract, problems)
            check_rejections(saga, contract, registry, problems)
    for contract in contracts.values():
        if contract.type not in bound:
            fix = f"name a class {contract.message.DESCRIPTOR.name} in the context's sagas"
            problems.add(contract.message.DESCRIPTOR.file.name, contract.type, "has no saga class", fix)
    return bound


def _check_saga(saga: type[Saga], contract: SagaContract, problems: Problems) -> None:
    where = (saga.__module__, saga.__qualname__)
    # A saga has no handlers: a mark in it is a mistake that would go unnoticed.
    read_marks(saga, (), problems)
    if not inspect.iscoroutinefunction(saga.run):
        problems.add(
            saga.__module__, f"{saga.__qualname__}.run", "is no coroutine function", "make it an async def"
        )
    if "." in saga.__qualname__:
        problems.add(*where, "is no class of its module's top level", "move it there: a sandbox imports it")
    try:
        taken = set(start_types(saga))
    except TypeError as error:
        problems.add(*where, f"does not say what it is started by ({error})", "annotate the parameter")
        return
    if not contract.child and taken != set(contract.starts_on):
        fault = f"takes {', '.join(sorted(taken))} in run, but is started by {', '.join(contract.starts_on)}"
        problems.add(*where, fault, "let run's annotation and `starts_on` in its contract agree")


def check_ports(context: str, ports: Iterable[Adapter], problems: Problems) -> dict[str, Adapter]:
    """Return the adapters by the names of their ports, noting what cannot work."""
    found: dict[str, Adapter] = {}
    for adapter in ports:
        name = adapter.port.name
        if found.setdefault(name, adapter) is not adapter:
            problems.add("context", context, f"has two adapters of the port {name}", "keep one in its ports")
        if not inspect.iscoroutinefunction(adapter.function):
            fault = f"has an adapter of the port {name} that is no coroutine function"
            problems.add("context", context, fault, "make it an async def")
    return found
