"""Chains upcasters, so that everything stored is read at its current schema version."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from google.protobuf.message import DecodeError, Message

from intent.contracts import Problems, Registry
from intent.errors import NewerReleaseNeeded, StoreError
from intent.model.upcasting import SchemaVersion, Upcaster

__all__ = ["Upcasters"]


class _Plan(NamedTuple):
    """How to read one schema version.

    Attributes:
        message: The class in which the bytes are read.
        steps: The upcasters to run, in order.
        type: The full name of what comes out.
    """

    message: type[Message]
    steps: Sequence[Callable[[Any], Message]]
    type: str


class Upcasters:
    """The upcasters of a context.

    Args:
        upcasters: The upcasters, in any order.
        registry: The contracts, with the current schema versions.
        problems: Where to note upcasters that do not fit the contracts; by default they raise.

    Raises:
        ContractError: An upcaster does not fit the contracts, and `problems` was not given.
    """

    def __init__(
        self, upcasters: Iterable[Upcaster[Any, Any]], registry: Registry, problems: Problems | None = None
    ) -> None:
        noted = Problems() if problems is None else problems
        self._registry = registry
        self._current = {contract.type: contract.version for contract in registry.events.values()}
        self._current |= {contract.type: contract.version for contract in registry.states.values()}
        self._steps: dict[tuple[str, int], tuple[Upcaster[Any, Any], SchemaVersion]] = {}
        self._plans: dict[tuple[str, int], _Plan] = {}
        for upcaster in upcasters:
            self._add(upcaster, noted)
        if problems is None:
            noted.refuse()

    def event(self, type: str, version: int, data: bytes) -> tuple[str, Message]:  # noqa: A002
        """Return an event's full name and message at the current schema version.

        Args:
            type: The full name that it was stored with.
            version: The schema version that it was stored with.
            data: The message, as proto bytes.

        Raises:
            NewerReleaseNeeded: The schema version is later than the contract's, or the type has no contract.
            StoreError: No chain of upcasters leads from it, or the bytes do not encode such a message.
        """
        plan = self._plans.get((type, version)) or self._plan(type, version)
        if plan is None:
            raise self._unknown(type, version)
        return plan.type, _read(plan, data)

    def state(self, type: str, version: int, data: bytes) -> Message | None:  # noqa: A002
        """Return a state at the current schema version; None when no chain leads there.

        Raises:
            StoreError: The bytes do not encode such a message.
        """
        plan = self._plans.get((type, version)) or self._plan(type, version)
        return None if plan is None else _read(plan, data)

    def target(self, type: str, version: int) -> SchemaVersion | None:  # noqa: A002
        """Return what a schema version is read as; None when no chain leads from it to a current one."""
        plan = self._plans.get((type, version)) or self._plan(type, version)
        return None if plan is None else SchemaVersion(plan.type, self._current[plan.type])

    def recorded_as(self, type: str) -> frozenset[str]:  # noqa: A002
        """Return the full names under which an event may be recorded: its own, and those it replaced."""
        chains = ((source, self.target(source, version)) for source, version in self._steps)
        return frozenset({type, *(source for source, target in chains if target and target.type == type)})

    def knows(self, type: str, version: int) -> bool:  # noqa: A002
        """Return whether a schema version is the current one, or upcasters lead from it to that one."""
        return self._plan(type, version) is not None

    def retired(self, type: str) -> bool:  # noqa: A002
        """Return whether an event is upcast to another even at its contract's version."""
        return (type, self._current.get(type, 0)) in self._steps

    def check(self, context: str, problems: Problems) -> None:
        """Note each older version of a context's events from which no chain leads to the current one.

        A state without a chain is no contradiction: its snapshots are rebuilt from the events.
        """
        for contract in self._registry.events.values():
            if contract.context != context:
                continue
            gaps = [str(v) for v in range(1, contract.version) if not self.knows(contract.type, v)]
            if gaps:
                fault = (
                    f"is at version {contract.version}, but no upcaster leads there from {', '.join(gaps)}"
                )
                fix = "declare an upcaster from each older version and name it in the context's upcasters"
                problems.add(contract.message.DESCRIPTOR.file.name, contract.type, fault, fix)

    def _unknown(self, type_: str, version: int) -> StoreError:
        current = self._current.get(type_)
        if current is None or version > current:
            return NewerReleaseNeeded(
                f"{type_} version {version} is unknown to this release: "
                "a newer one has recorded it, and a process of that release must do this"
            )
        return StoreError(f"{type_} version {version} is unknown: no upcaster leads to version {current}")

    def _plan(self, type_: str, version: int) -> _Plan | None:
        """Follow the chain from a schema version to the current one, and cache it."""
        steps: list[Upcaster[Any, Any]] = []
        at = SchemaVersion(type_, version)
        while (step := self._steps.get(at)) is not None and len(steps) <= len(self._steps):
            steps.append(step[0])
            at = step[1]
        if step is not None or self._current.get(at.type) != at.version:
            return None
        contract = self._registry.events.get(at.type) or self._registry.states[at.type]
        message = steps[0].taken if steps else contract.message
        plan = _Plan(message, tuple(upcaster.function for upcaster in steps), at.type)
        self._plans[type_, version] = plan
        return plan

    def _add(self, upcaster: Upcaster[Any, Any], problems: Problems) -> None:
        file, name = upcaster.function.__module__, upcaster.function.__qualname__
        try:
            source, target = upcaster.source, upcaster.target
        except TypeError as error:
            fix = "annotate the function with the message that it takes and the one that it returns"
            problems.add(file, name, f"does not say what it upcasts ({error})", fix)
            return
        contradictions = list(self._contradictions(upcaster, source, target))
        for fault, fix in contradictions:
            problems.add(file, name, fault, fix)
        if not contradictions:
            self._steps[source] = upcaster, target

    def _contradictions(
        self, upcaster: Upcaster[Any, Any], source: SchemaVersion, target: SchemaVersion
    ) -> Iterable[tuple[str, str]]:
        current = self._current.get(target.type)
        if source in self._steps:
            yield f"upcasts {source}, which another upcaster takes already", "remove one of the two"
        if current is None:
            yield f"makes {target.type}, which is no event or state", "return a message of the contracts"
        elif target.version > current:
            fix = f"raise the version of {target.type} in its contract, or remove the upcaster"
            yield f"makes {target}, but the contract is at version {current}", fix
        if source.type != target.type:
            if upcaster.to_version is None:
                yield f"renames {source.type} but not to which version of {target.type}", "set `to_version`"
        elif target.version <= source.version:
            yield f"leads from {source} back to version {target.version}", "let it lead to a later version"


def _read(plan: _Plan, data: bytes) -> Message:
    try:
        message: Message = plan.message.FromString(data)
    except DecodeError as error:
        name = plan.message.DESCRIPTOR.full_name
        raise StoreError(f"what is stored as {name} cannot be read: {error}") from error
    for step in plan.steps:
        message = step(message)
    return message
