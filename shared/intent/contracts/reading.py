"""Reads single messages into contracts, noting what is wrong with each on its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import protovalidate
from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from intent.contracts.columns import read_columns
from intent.contracts.contract import (
    AnyContract,
    CommandContract,
    EventContract,
    MessageClass,
    QueryContract,
    ReadModelContract,
    SagaContract,
    StateContract,
)
from intent.contracts.options import context_of_package, id_fields, kinds_of, option, snake_case
from intent.contracts.ownership import read_ownership
from intent.contracts.problems import Problems
from intent.contracts.reasons import check_reasons
from intent.contracts.services import Methods

__all__ = ["read_message"]


@dataclass(frozen=True, slots=True)
class _Subject:
    """A message while it is being read.

    Attributes:
        descriptor: The message.
        kind: What it is marked as.
        methods: The typed methods, to find the one that takes it.
        rules: Compiles field rules.
        problems: Where to note what is wrong.
    """

    descriptor: Descriptor
    kind: str
    methods: Methods
    rules: protovalidate.Validator
    problems: Problems

    @property
    def type(self) -> str:
        return self.descriptor.full_name

    @property
    def message(self) -> MessageClass:
        return GetMessageClass(self.descriptor)

    @property
    def context(self) -> str:
        return context_of_package(self.descriptor.file.package)

    def problem(self, fault: str, fix: str) -> None:
        self.problems.add(self.descriptor.file.name, self.type, fault, fix)

    def aggregate(self) -> str:
        name: str = option(self.descriptor, self.kind).aggregate
        if not name:
            self.problem("names no aggregate", f"set `aggregate` in its option (intent.v1.{self.kind})")
        return name

    def version(self) -> int:
        version: int = option(self.descriptor, self.kind).version
        if version < 1:
            fix = f"set `version: 1` in its option (intent.v1.{self.kind})"
            self.problem("has version 0, but versions begin with 1", fix)
        return version


def read_message(
    descriptor: Descriptor, methods: Methods, rules: protovalidate.Validator, problems: Problems
) -> AnyContract | None:
    """Return the contract of a message; None when it is not marked as anything.

    Args:
        descriptor: The message.
        methods: The typed methods of all contexts.
        rules: Compiles field rules; must not be shared with other files of the same names.
        problems: Where to note what is wrong with the message.
    """
    kinds = kinds_of(descriptor)
    if not kinds:
        return None
    subject = _Subject(descriptor, kinds[0], methods, rules, problems)
    if len(kinds) > 1:
        subject.problem(f"is marked as {' and '.join(kinds)}", "keep one of these options")
    if not subject.context:
        fault = f"is in package {descriptor.file.package!r}, which names no context"
        subject.problem(fault, "name the package <context>.v<number>, e.g. orders.v1")
    return _READERS[subject.kind](subject)


def _command(subject: _Subject) -> CommandContract:
    _check_rules(subject)
    options = option(subject.descriptor, "command")
    check_reasons(options.rejects, subject.problem)
    return CommandContract(
        type=subject.type,
        message=subject.message,
        context=subject.context,
        aggregate=subject.aggregate(),
        roles=frozenset(options.roles),
        id_field=_id_field(subject),
        method=subject.methods.path(subject.descriptor),
        rejects=tuple(options.rejects),
        owned=read_ownership(options, subject.descriptor, subject.problem),
    )


def _id_field(subject: _Subject) -> str:
    fields = id_fields(subject.descriptor)
    if len(fields) != 1:
        fault = "has no aggregate_id field" if not fields else f"has {len(fields)} aggregate_id fields"
        subject.problem(fault, "mark exactly one string field with (intent.v1.aggregate_id) = true")
        return fields[0].name if fields else ""
    field = fields[0]
    if field.is_repeated or field.type != field.TYPE_STRING:
        fault = f"has the aggregate_id field {field.name}, which is not a string"
        subject.problem(fault, "make it a single string")
    return field.name


def _event(subject: _Subject) -> EventContract:
    aggregate, version = subject.aggregate(), subject.version()
    return EventContract(subject.type, subject.message, subject.context, aggregate, version)


def _state(subject: _Subject) -> StateContract:
    aggregate, version = subject.aggregate(), subject.version()
    return StateContract(subject.type, subject.message, subject.context, aggregate, version)


def _query(subject: _Subject) -> QueryContract:
    _check_rules(subject)
    options = option(subject.descriptor, "query")
    method = subject.methods.by_input.get(subject.type)
    if method is None:
        subject.problem("is taken by no method", "add one to the context's service, which says its answer")
    return QueryContract(
        type=subject.type,
        message=subject.message,
        context=subject.context,
        roles=frozenset(options.roles),
        method=subject.methods.path(subject.descriptor),
        response=GetMessageClass(method.output_type) if method else Message,
        owned=read_ownership(options, subject.descriptor, subject.problem),
    )


def _read_model(subject: _Subject) -> ReadModelContract:
    table = option(subject.descriptor, "read_model").table or snake_case(subject.descriptor.name)
    key, indexed = read_columns(subject.descriptor, table, subject.problem)
    return ReadModelContract(subject.type, subject.message, subject.context, table, key, indexed)


def _saga(subject: _Subject) -> SagaContract:
    options = option(subject.descriptor, "saga")
    if not options.starts_on and not options.child:
        fix = "name an event in `starts_on` of (intent.v1.saga), or mark it as `child: true`"
        subject.problem("is started by nothing", fix)
    if options.starts_on and options.child:
        subject.problem("is a child and started by events", "keep either `starts_on` or `child: true`")
    return SagaContract(
        type=subject.type,
        message=subject.message,
        context=subject.context,
        starts_on=tuple(options.starts_on),
        listens_to=tuple(options.listens_to),
        correlated_by=options.correlated_by,
        sends=tuple(options.sends),
        child=options.child,
    )


def _check_rules(subject: _Subject) -> None:
    """Compile the message's field rules, which would otherwise fail on the first call."""
    try:
        subject.rules.collect_violations(subject.message())
    except protovalidate.CompilationError as error:
        subject.problem(
            f"has field rules that do not compile ({error})", "correct its (buf.validate) options"
        )


_READERS: dict[str, Callable[[_Subject], AnyContract]] = {
    "command": _command,
    "event": _event,
    "state": _state,
    "query": _query,
    "read_model": _read_model,
    "saga": _saga,
}
