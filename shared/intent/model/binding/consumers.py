"""Checks consumers against the contracts."""

from __future__ import annotations

from collections.abc import Iterable

from intent.contracts import Problems, Registry
from intent.model.consumer import Consumer

__all__ = ["bind_consumers"]


def bind_consumers(
    context: str, consumers: Iterable[type[Consumer]], registry: Registry, problems: Problems
) -> dict[type[Consumer], str]:
    """Return the context whose events each consumer takes, noting what does not fit."""
    bound: dict[type[Consumer], str] = {}
    names: dict[str, type[Consumer]] = {}
    for consumer in consumers:
        problems.extend(consumer.declaration_problems)
        if not len(consumer.declaration_problems) and not consumer.name.startswith(f"{context}."):
            # Whoever serves the events lets nobody else join under the name.
            fix = f'begin it with the context that consumes, e.g. name = "{context}.{consumer.name}"'
            _add(consumer, f"is named {consumer.name}", fix, problems)
        first = names.setdefault(consumer.name, consumer)
        if first is not consumer and consumer.name:
            fault = f"is named {consumer.name}, as {first.__module__}.{first.__qualname__} is already"
            _add(consumer, fault, "give it a name of its own", problems)
        source = _source(consumer, registry, problems)
        if source:
            bound[consumer] = source
    return bound


def _source(consumer: type[Consumer], registry: Registry, problems: Problems) -> str:
    contexts: dict[str, str] = {}
    for type_, handler in consumer.handlers.items():
        event = registry.events.get(type_)
        if event is None:
            fault = f"takes {type_} in {handler.method.__name__}, which is no event"
            _add(consumer, fault, "mark the message with (intent.v1.event)", problems)
        else:
            contexts.setdefault(event.context, type_)
    if not consumer.handlers and not len(consumer.declaration_problems):
        _add(consumer, "takes no event", "add a method with @consumes", problems)
    if len(contexts) > 1:
        fault = f"takes events of several contexts: {', '.join(contexts.values())}"
        _add(consumer, fault, "split it into one consumer for each", problems)
    return next(iter(contexts), "")


def _add(consumer: type[Consumer], fault: str, fix: str, problems: Problems) -> None:
    problems.add(consumer.__module__, consumer.__qualname__, fault, fix)
