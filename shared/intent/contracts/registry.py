"""The registry: every contract, read from the descriptors of the generated code."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType, ModuleType
from typing import TypeVar

import intent_contracts
import protovalidate
from google.protobuf.descriptor import FileDescriptor, ServiceDescriptor

from intent.contracts.checks import check_contracts
from intent.contracts.contract import (
    AnyContract,
    CommandContract,
    EventContract,
    QueryContract,
    ReadModelContract,
    SagaContract,
    StateContract,
)
from intent.contracts.options import messages_of
from intent.contracts.problems import Problems
from intent.contracts.reading import read_message
from intent.contracts.services import Methods, read_methods
from intent.errors import ConfigurationError, UnknownType

__all__ = ["Registry"]

C = TypeVar("C")

_PLATFORM = ("intent.", "buf.", "google.")
"""Packages whose messages and services are the platform's, not a context's."""


class Registry:
    """Every contract, by the full name of its message.

    Attributes:
        commands: The commands.
        events: The events.
        states: The states of aggregates.
        queries: The queries.
        read_models: The read models.
        sagas: The sagas.
    """

    def __init__(self, contracts: Iterable[AnyContract], methods: Methods) -> None:
        known = tuple(contracts)
        self.commands = _by_type(CommandContract, known)
        self.events = _by_type(EventContract, known)
        self.states = _by_type(StateContract, known)
        self.queries = _by_type(QueryContract, known)
        self.read_models = _by_type(ReadModelContract, known)
        self.sagas = _by_type(SagaContract, known)
        self._contexts = {contract.type: contract.context for contract in known}
        self._methods = methods
        self._listeners = _listeners(self.sagas.values())

    @classmethod
    def load(cls, *packages: str) -> Registry:
        """Read the contracts of proto packages, e.g. ``orders.v1``; of all when none is given.

        Raises:
            ConfigurationError: There is no generated code for a package.
            ContractError: The contracts contradict each other; lists every contradiction.
        """
        return cls.of(_files(packages or tuple(_every_package())))

    @classmethod
    def of(cls, files: Iterable[FileDescriptor]) -> Registry:
        """Read the contracts of these files.

        Raises:
            ContractError: The contracts contradict each other; lists every contradiction.
        """
        problems = Problems()
        own = [file for file in files if not f"{file.package}.".startswith(_PLATFORM)]
        services = [service for file in own for service in file.services_by_name.values()]
        methods = read_methods(services, problems)
        rules = protovalidate.Validator()
        messages = [message for file in own for message in messages_of(file)]
        read = [read_message(message, methods, rules, problems) for message in messages]
        contracts = [contract for contract in read if contract is not None]
        check_contracts(contracts, problems)
        problems.refuse()
        return cls(contracts, methods)

    @property
    def contexts(self) -> tuple[str, ...]:
        """The names of all contexts, sorted."""
        return tuple(sorted(set(self._contexts.values())))

    def command(self, type: str) -> CommandContract:  # noqa: A002
        """Return the contract of a command.

        Raises:
            UnknownType: There is no such command.
        """
        return _known(self.commands, type, "command")

    def event(self, type: str) -> EventContract:  # noqa: A002
        """Return the contract of an event.

        Raises:
            UnknownType: There is no such event.
        """
        return _known(self.events, type, "event")

    def query(self, type: str) -> QueryContract:  # noqa: A002
        """Return the contract of a query.

        Raises:
            UnknownType: There is no such query.
        """
        return _known(self.queries, type, "query")

    def context_of(self, type: str) -> str:  # noqa: A002
        """Return the context to which a message of any kind belongs.

        Raises:
            UnknownType: There is no such message.
        """
        return _known(self._contexts, type, "contract")

    def state_of(self, context: str, aggregate: str) -> StateContract | None:
        """Return the state of an aggregate, or None when there is no such aggregate."""
        states = (s for s in self.states.values() if s.context == context and s.aggregate == aggregate)
        return next(states, None)

    def listeners(self, event_type: str) -> tuple[SagaContract, ...]:
        """Return the sagas, of any context, that an event starts or that wait for it."""
        return self._listeners.get(event_type, ())

    def services(self, context: str) -> tuple[ServiceDescriptor, ...]:
        """Return the typed services of a context, as their descriptors."""
        return self._methods.by_context.get(context, ())


def _by_type(kind: type[C], contracts: Iterable[AnyContract]) -> Mapping[str, C]:
    return MappingProxyType({c.type: c for c in contracts if isinstance(c, kind)})


def _listeners(sagas: Iterable[SagaContract]) -> dict[str, tuple[SagaContract, ...]]:
    listeners: dict[str, tuple[SagaContract, ...]] = {}
    for saga in sagas:
        for event in dict.fromkeys((*saga.starts_on, *saga.listens_to)):
            listeners[event] = (*listeners.get(event, ()), saga)
    return listeners


def _known(contracts: Mapping[str, C], type_: str, kind: str) -> C:
    contract = contracts.get(type_)
    if contract is None:
        reason = f"UNKNOWN_{kind.upper()}"
        raise UnknownType(reason, f"there is no {kind} {type_!r}", metadata={"type": type_})
    return contract


def _every_package() -> Iterator[str]:
    root = f"{intent_contracts.__name__}."
    for module in pkgutil.walk_packages(intent_contracts.__path__, root):
        if module.ispkg:
            yield module.name.removeprefix(root)


def _files(packages: Iterable[str]) -> Iterator[FileDescriptor]:
    for package in packages:
        for module in _modules(package):
            descriptor = getattr(module, "DESCRIPTOR", None)
            if isinstance(descriptor, FileDescriptor):
                yield descriptor


def _modules(package: str) -> Iterator[ModuleType]:
    name = f"{intent_contracts.__name__}.{package}"
    try:
        parent = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not name.startswith(error.name):
            raise
        raise ConfigurationError(
            f"there is no generated code for the proto package {package}; "
            "run `make proto`, or correct the name"
        ) from error
    for module in pkgutil.iter_modules(parent.__path__, f"{name}."):
        if not module.ispkg:
            yield importlib.import_module(module.name)
