"""Checks projections and queries against their contracts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from google.protobuf.message import Message

from intent.contracts import Problems, QueryContract, ReadModelContract, Registry
from intent.model.projection import Projection
from intent.model.queries import Queries, QueryHandler

__all__ = ["check_projections", "check_queries"]


def check_projections(
    context: str, projections: Iterable[type[Projection[Any]]], registry: Registry, problems: Problems
) -> None:
    """Note projections that do not fit the contracts, and read models that nothing writes."""
    writers: dict[str, type[Projection[Any]]] = {}
    names: dict[str, type[Projection[Any]]] = {}
    for projection in projections:
        problems.extend(projection.declaration_problems)
        if projection.read_model is Message:
            continue
        model = projection.read_model.DESCRIPTOR.full_name
        _check_projection(context, projection, registry, problems)
        for taken, key, what in ((writers, model, f"writes {model}"), (names, projection.name, "has a name")):
            first = taken.setdefault(key, projection)
            if first is not projection:
                fault = f"{what}, as {first.__module__}.{first.__qualname__} does already"
                _add(projection, fault, "let one projection write it, under a name of its own", problems)
    for contract in registry.read_models.values():
        if contract.context == context and contract.type not in writers:
            fault, fix = "is written by no projection", "name one in the context's projections"
            problems.add(contract.message.DESCRIPTOR.file.name, contract.type, fault, fix)


def _check_projection(
    context: str, projection: type[Projection[Any]], registry: Registry, problems: Problems
) -> None:
    model = projection.read_model.DESCRIPTOR.full_name
    contract = registry.read_models.get(model)
    if contract is None or contract.context != context:
        fault = f"writes {model}, which is no read model of the context {context}"
        _add(projection, fault, "mark the message with (intent.v1.read_model)", problems)
    if projection.version < 1:
        _add(projection, f"has version {projection.version}", "versions begin with 1", problems)
    if not projection.handlers and not len(projection.declaration_problems):
        _add(projection, "takes no event", "add a method with @projects", problems)
    for type_, handler in projection.handlers.items():
        event = registry.events.get(type_)
        if event is None or event.context != context:
            fault = f"takes {type_} in {handler.method.__name__}, which is no event of the context {context}"
            _add(projection, fault, "a projection reads the log of its own context", problems)
        if contract is not None and handler.keys is None:
            _check_key(projection, handler.method.__name__, contract, problems)


def _check_key(
    projection: type[Projection[Any]], method: str, contract: ReadModelContract, problems: Problems
) -> None:
    field = contract.message.DESCRIPTOR.fields_by_name[contract.key[0]]
    if len(contract.key) != 1 or field.type != field.TYPE_STRING:
        fault = f"does not say in {method} which row an event concerns: the key is {', '.join(contract.key)}"
        _add(projection, fault, "say it with key=…, as in @projects(key=…)", problems)


def _add(cls: type, fault: str, fix: str, problems: Problems) -> None:
    problems.add(cls.__module__, cls.__qualname__, fault, fix)


def check_queries(
    context: str, queries: type[Queries] | None, registry: Registry, problems: Problems
) -> None:
    """Note queries without answer, and answers that do not fit the contracts."""
    handlers = queries.handlers if queries is not None else {}
    if queries is not None:
        problems.extend(queries.declaration_problems)
        for type_, handler in handlers.items():
            _check_answer(context, queries, registry.queries.get(type_), handler, problems)
    for contract in registry.queries.values():
        if contract.context == context and contract.type not in handlers:
            name = contract.message.DESCRIPTOR.name
            answer = contract.response.DESCRIPTOR.name
            fix = f"add to the context's queries: @answers async def …(self, query: {name}) -> {answer}"
            problems.add(contract.message.DESCRIPTOR.file.name, contract.type, "has no answer", fix)


def _check_answer(
    context: str,
    queries: type[Queries],
    contract: QueryContract | None,
    handler: QueryHandler,
    problems: Problems,
) -> None:
    method, type_ = handler.method.__name__, handler.query.DESCRIPTOR.full_name
    if contract is None or contract.context != context:
        fault = f"answers {type_} in {method}, which is no query of the context {context}"
        _add(queries, fault, "mark the message with (intent.v1.query)", problems)
    elif handler.response not in (contract.response, Message):
        wanted = contract.response.DESCRIPTOR.full_name
        fault = f"answers {type_} in {method} with {handler.response.DESCRIPTOR.full_name}"
        _add(queries, fault, f"return {wanted}, as the method {contract.method} says", problems)
