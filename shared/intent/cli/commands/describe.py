"""``intent describe``: show the contracts."""

from __future__ import annotations

import json
from dataclasses import asdict
from itertools import groupby
from typing import TYPE_CHECKING, Annotated, cast

import typer

from intent.cli.output import echo, echo_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from google.protobuf.descriptor import Descriptor, FieldDescriptor

    from intent.contracts import AnyContract, CommandContract, QueryContract, Registry

__all__ = ["register"]

HELP = """Show the contracts: commands and why they are rejected, events, queries, or one message in full.

They are read from the installed contracts; nothing needs to run.

\b
  intent describe                        every context
  intent describe orders                 one context
  intent describe orders.v1.PlaceOrder   fields, rules, reasons of rejections, an example
  intent describe --access               who may call what, role by role; of one context with its name

Of a role that is limited to "own only", callers reach only what is theirs: where a field is equal to
their subject, which is the actor, of a person without "user:" ("ann" of "user:ann").
"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("describe", help=HELP)(describe)


def describe(
    what: Annotated[str, typer.Argument(metavar="CONTEXT|TYPE", help="A context or a message.")] = "",
    access: Annotated[bool, typer.Option("--access", help="Show who may call what, role by role.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="With --access: print JSON, for programs.")] = False,
) -> None:
    """Show the contracts."""
    from intent.contracts import Registry

    registry = Registry.load()
    if access or as_json:
        _print_access(registry, what, access=access, as_json=as_json)
    elif not what:
        for context in registry.contexts:
            _print_context(registry, context)
    elif what in registry.contexts:
        _print_context(registry, what)
    else:
        _print_message(registry, what)


def _print_access(registry: Registry, context: str, *, access: bool, as_json: bool) -> None:
    """Print what each role may do."""
    from intent.service.servicers.access import access_rows

    if not access:
        raise typer.BadParameter("goes with --access only", param_hint="--json")
    if context and context not in registry.contexts:
        known = ", ".join(registry.contexts)
        raise typer.BadParameter(f"--access takes a context, one of: {known}", param_hint="CONTEXT|TYPE")
    rows = [row for row in access_rows(registry) if not context or row.context in ("", context)]
    if as_json:
        echo_json([asdict(row) for row in rows])
        return
    for role, own in groupby(rows, key=lambda row: row.role):
        _print(
            _NOBODYS.get(role, f"Role {role}"),
            ("May call", "Kind", "Limited to"),
            ((row.name, row.kind, row.limit) for row in own),
        )


_NOBODYS = {"*": "Any authenticated caller", "anybody": "Anybody, without saying who it is"}


def _print_context(registry: Registry, context: str) -> None:
    commands = [c for c in registry.commands.values() if c.context == context]
    events = [c for c in registry.events.values() if c.context == context]
    queries = [c for c in registry.queries.values() if c.context == context]
    models = [c for c in registry.read_models.values() if c.context == context]
    sagas = [c for c in registry.sagas.values() if c.context == context]
    _print(
        f"Commands of {context}",
        ("Command", "Aggregate", "Roles", "Fields"),
        ((c.type, c.aggregate, _callers(c), _fields(c)) for c in commands),
    )
    _print(
        f"Rejections of {context}",
        ("Command", "Reasons"),
        ((c.type, ", ".join(c.rejects)) for c in commands if c.rejects),
    )
    _print(
        f"Events of {context}",
        ("Event", "Aggregate", "Version", "Fields"),
        ((c.type, c.aggregate, str(c.version), _fields(c)) for c in events),
    )
    _print(
        f"Queries of {context}",
        ("Query", "Answer", "Roles", "Fields"),
        ((c.type, c.response.DESCRIPTOR.full_name, _callers(c), _fields(c)) for c in queries),
    )
    _print(
        f"Read models of {context}",
        ("Read model", "Table", "Key", "Filters"),
        ((c.type, c.table, _joined(c.key), _joined(c.indexed)) for c in models),
    )
    _print(
        f"Sagas of {context}",
        ("Saga", "Starts on", "Listens to"),
        ((c.type, _joined(c.starts_on), _joined(c.listens_to)) for c in sagas),
    )


def _print_message(registry: Registry, name: str) -> None:
    from intent.cli.examples import example
    from intent.cli.messages import find_type

    known: dict[str, AnyContract] = {
        **registry.commands,
        **registry.events,
        **registry.queries,
        **registry.read_models,
        **registry.states,
        **registry.sagas,
    }
    contract = find_type(name, known, "context or message")
    descriptor = cast("Descriptor", contract.message.DESCRIPTOR)
    called = registry.commands.get(contract.type) or registry.queries.get(contract.type)
    _print(
        descriptor.full_name
        if called is None
        else f"{descriptor.full_name} (roles: {_callers(called, in_full=True)})",
        ("Field", "Type", "Rules"),
        ((field.name, _type(field), _rules(field)) for field in _fields_of(descriptor)),
    )
    if contract.type in registry.commands:
        reasons = registry.commands[contract.type].rejects
        echo(f"\nRejected with {', '.join(reasons)}" if reasons else "\nNever rejected")
    verbs = {**dict.fromkeys(registry.commands, "send"), **dict.fromkeys(registry.queries, "query")}
    verb = verbs.get(contract.type)
    if verb:
        text = json.dumps(example(descriptor), ensure_ascii=False)
        echo(f"\nintent {verb} {descriptor.full_name} '{text}'")


def _print(title: str, headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table, unless it has no rows."""
    from intent.cli.tables import print_table

    cells = list(rows)
    if cells:
        print_table(headings, cells, title=title, unwrapped=headings[:1])


def _joined(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "any"


_ROLES = {"*": "* (any authenticated caller)"}


def _callers(contract: CommandContract | QueryContract, *, in_full: bool = False) -> str:
    """Return who may call, as the contract says."""
    limits = {each.role: f" ({each if in_full else 'own only'})" for each in contract.owned}
    if not contract.roles:
        return "none named: the context does not start"
    return _joined(_ROLES.get(role, role) + limits.get(role, "") for role in contract.roles)


def _fields_of(message: Descriptor) -> Sequence[FieldDescriptor]:
    return message.fields


def _fields(contract: AnyContract) -> str:
    return ", ".join(field.name for field in contract.message.DESCRIPTOR.fields)


def _type(field: FieldDescriptor) -> str:
    if field.message_type is not None:
        name = field.message_type.full_name
    elif field.enum_type is not None:
        name = " | ".join(value.name for value in field.enum_type.values if value.number)
    else:
        name = _SCALARS.get(field.type, "number")
    return f"list of {name}" if field.is_repeated else name


_SCALARS = {8: "true or false", 9: "text", 12: "bytes", 1: "number", 2: "number"}


def _rules(field: FieldDescriptor) -> str:
    """Return the field's rules as the contract states them."""
    from google.protobuf import text_format
    from intent_contracts.buf.validate import validate_pb2

    options = field.GetOptions()
    if not options.HasExtension(validate_pb2.field):
        return ""
    return text_format.MessageToString(options.Extensions[validate_pb2.field], as_one_line=True)
