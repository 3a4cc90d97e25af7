"""Reads the typed services: which method takes which command or query."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from google.protobuf.descriptor import Descriptor, MethodDescriptor, ServiceDescriptor

from intent.contracts.options import context_of_package, kinds_of
from intent.contracts.problems import Problems

__all__ = ["Methods", "read_methods"]

_RESULT = "intent.v1.CommandResult"
_NOT_COMMAND_OR_QUERY = "mark {} as a command or a query with the options of intent/v1/options.proto"


@dataclass(frozen=True, slots=True)
class Methods:
    """The typed methods of all contexts.

    Attributes:
        by_input: The method that takes a command or query, by its full name.
        by_context: The typed services, by context.
    """

    by_input: Mapping[str, MethodDescriptor] = field(default_factory=dict)
    by_context: Mapping[str, tuple[ServiceDescriptor, ...]] = field(default_factory=dict)

    def path(self, message: Descriptor) -> str:
        """Return the path of the method that takes a message, or an empty string."""
        method = self.by_input.get(message.full_name)
        return f"/{method.containing_service.full_name}/{method.name}" if method else ""


def read_methods(services: Iterable[ServiceDescriptor], problems: Problems) -> Methods:
    """Read the typed services, noting what contradicts the rules for them."""
    by_input: dict[str, MethodDescriptor] = {}
    by_context: dict[str, tuple[ServiceDescriptor, ...]] = {}
    for service in services:
        context = context_of_package(service.file.package)
        by_context[context] = (*by_context.get(context, ()), service)
        for method in service.methods:
            _check(method, context, problems)
            first = by_input.setdefault(method.input_type.full_name, method)
            if first is not method:
                taken = f"takes {method.input_type.name}, which {first.full_name} takes already"
                problems.add(service.file.name, method.full_name, taken, "remove one of the two methods")
    return Methods(by_input, by_context)


def _check(method: MethodDescriptor, context: str, problems: Problems) -> None:
    file, name, taken = method.containing_service.file.name, method.full_name, method.input_type
    kinds = kinds_of(taken)
    if method.client_streaming or method.server_streaming:
        problems.add(file, name, "streams", "typed methods take one message and return one")
    if "command" not in kinds and "query" not in kinds:
        fix = _NOT_COMMAND_OR_QUERY.format(taken.name)
        problems.add(file, name, f"takes {taken.full_name}, which is neither command nor query", fix)
    elif context_of_package(taken.file.package) != context:
        fault = f"takes {taken.full_name}, which belongs to another context"
        problems.add(file, name, fault, f"move the method to a service of {taken.file.package}")
    if "command" in kinds and method.output_type.full_name != _RESULT:
        fault = f"takes the command {taken.name} but returns {method.output_type.full_name}"
        problems.add(file, name, fault, f"return {_RESULT}")
