"""Checks that the contracts agree with one another."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import TypeVar, cast

from google.protobuf.descriptor import Descriptor

from intent.contracts.contract import (
    AnyContract,
    CommandContract,
    EventContract,
    QueryContract,
    ReadModelContract,
    SagaContract,
    StateContract,
)
from intent.contracts.options import limits_length
from intent.contracts.ownership import OwnedBy, Ownership, is_text
from intent.contracts.problems import Problems
from intent.contracts.walking import messages_in

__all__ = ["check_contracts"]

C = TypeVar("C")


def check_contracts(contracts: Iterable[AnyContract], problems: Problems) -> None:
    """Note every contradiction between contracts."""
    known = tuple(contracts)
    states = tuple(_of(StateContract, known))
    events = {event.type: event for event in _of(EventContract, known)}
    _check_states(states, problems)
    _check_aggregates(known, states, problems)
    _check_tables(_of(ReadModelContract, known), problems)
    _check_state_owners(_of(CommandContract, known), states, problems)
    _check_row_owners(_of(QueryContract, known), _of(ReadModelContract, known), problems)
    commands = {command.type for command in _of(CommandContract, known)}
    for saga in _of(SagaContract, known):
        _check_saga(saga, events, problems)
        _check_sends(saga, commands, problems)


def _of(kind: type[C], contracts: Iterable[AnyContract]) -> Iterator[C]:
    return (contract for contract in contracts if isinstance(contract, kind))


def _problem(contract: AnyContract, fault: str, fix: str, problems: Problems) -> None:
    problems.add(contract.message.DESCRIPTOR.file.name, contract.type, fault, fix)


def _check_states(states: Iterable[StateContract], problems: Problems) -> None:
    first: dict[tuple[str, str], StateContract] = {}
    for state in states:
        other = first.setdefault((state.context, state.aggregate), state)
        if other is not state and state.aggregate:
            fault = f"is a second state of {state.aggregate}, besides {other.type}"
            _problem(state, fault, "remove the option (intent.v1.state) from one of the two", problems)


def _check_aggregates(
    contracts: Iterable[AnyContract], states: Iterable[StateContract], problems: Problems
) -> None:
    known = {(state.context, state.aggregate) for state in states}
    for contract in contracts:
        if not isinstance(contract, CommandContract | EventContract) or not contract.aggregate:
            continue
        if (contract.context, contract.aggregate) not in known:
            names = ", ".join(sorted(name for context, name in known if context == contract.context))
            fault = f"names the unknown aggregate {contract.aggregate!r}"
            fix = f"mark its state with (intent.v1.state), or name one of: {names or 'none yet'}"
            _problem(contract, fault, fix, problems)


def _check_tables(models: Iterable[ReadModelContract], problems: Problems) -> None:
    first: dict[tuple[str, str], ReadModelContract] = {}
    for model in models:
        other = first.setdefault((model.context, model.table), model)
        if other is not model:
            fault = f"has the table {model.table}, which {other.type} has already"
            _problem(model, fault, "set another `table` in (intent.v1.read_model)", problems)


def _check_saga(saga: SagaContract, events: dict[str, EventContract], problems: Problems) -> None:
    for type_ in (*saga.starts_on, *saga.listens_to):
        event = events.get(type_)
        if event is None:
            fault = f"listens to the unknown event {type_!r}"
            _problem(saga, fault, "name an event by its full name, e.g. orders.v1.OrderPlaced", problems)
        elif not _correlates(saga, event):
            fault = f"is correlated by {saga.correlated_by}, but {type_} has no string field of that name"
            _problem(saga, fault, f"add the field to {type_}, or change `correlated_by`", problems)
        elif not _is_bounded(event, saga.correlated_by):
            fault = f"is correlated by {saga.correlated_by}, which may have any length in {type_}"
            fix = f"give {type_}.{saga.correlated_by} (buf.validate.field).string.max_len, such as 128"
            _problem(saga, fault, fix, problems)


def _check_sends(saga: SagaContract, commands: Collection[str], problems: Problems) -> None:
    for type_ in saga.sends:
        if type_ not in commands:
            fault = f"sends the unknown command {type_!r}"
            fix = "name a command of any context by its full name, e.g. orders.v1.PlaceOrder"
            _problem(saga, fault, fix, problems)


def _correlates(saga: SagaContract, event: EventContract) -> bool:
    """Return whether an event finds its saga: by the field, or in its own context by the aggregate's id."""
    field = saga.correlated_by
    in_own_context = event.context == saga.context and field not in event.message.DESCRIPTOR.fields_by_name
    return not field or in_own_context or is_text(cast("Descriptor", event.message.DESCRIPTOR), field)


def _is_bounded(event: EventContract, name: str) -> bool:
    """Return whether a field, if the event has it, is limited in length: it is part of the saga's id."""
    field = event.message.DESCRIPTOR.fields_by_name.get(name)
    return field is None or limits_length(field)


def _check_state_owners(
    commands: Iterable[CommandContract], states: Iterable[StateContract], problems: Problems
) -> None:
    """Note commands that are owned by what their aggregate's state does not have as a text."""
    known = {(state.context, state.aggregate): state for state in states}
    for command in commands:
        state = known.get((command.context, command.aggregate))
        if state is None:
            continue
        for field in _fields(command.owned, OwnedBy.STATE):
            if not is_text(cast("Descriptor", state.message.DESCRIPTOR), field):
                fault = f"is owned by the field {field!r} of {state.type}, which is no text that it has"
                _problem(command, fault, "name a single string field of it", problems)


def _check_row_owners(
    queries: Iterable[QueryContract], models: Iterable[ReadModelContract], problems: Problems
) -> None:
    """Note queries whose rows cannot be narrowed to those of their owner."""
    known = {model.type: model for model in models}
    for query in queries:
        for field in _fields(query.owned, OwnedBy.ROW):
            for fault, fix in _row_faults(query, field, known):
                _problem(query, fault, fix, problems)


def _fields(owned: Iterable[Ownership], by: OwnedBy) -> Iterator[str]:
    return (each.field for each in owned if each.by is by)


def _row_faults(
    query: QueryContract, field: str, known: dict[str, ReadModelContract]
) -> Iterator[tuple[str, str]]:
    answer = messages_in(cast("Descriptor", query.response.DESCRIPTOR))
    shown = [known[each.full_name] for each in answer if each.full_name in known]
    if not shown:
        yield (
            f"is owned by the field {field!r} of its rows, but no read model is in its answer",
            "answer with read models, or compare a `field` of the query",
        )
    for model in shown:
        row = cast("Descriptor", model.message.DESCRIPTOR)
        if field not in (*model.key, *model.indexed) or not is_text(row, field):
            yield (
                f"is owned by the field {field!r} of its rows, by which {model.type} cannot be narrowed",
                f"give {model.type} this field, a single string with (intent.v1.indexed) = true",
            )
