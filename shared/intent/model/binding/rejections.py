"""Checks the rejections that sagas count on against the contracts of the commands that they send."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from intent.contracts import PLATFORM_REASONS, CommandContract, Problems, Registry, SagaContract
from intent.errors import StepRejected
from intent.model.binding.method_source import MethodSource, Unresolved, method_sources
from intent.sagas import Compensation, Saga

__all__ = ["check_rejections"]

_HARMLESS = frozenset({"call", "sleep", "wait_for"})
"""Steps of a saga that raise no command's rejection."""


class _Use(NamedTuple):
    """A place where a saga counts on a rejection.

    Attributes:
        method: The qualified name of the method.
        reason: The reason.
        commands: The full names of the commands that may be rejected there; empty: any that it sends.
    """

    method: str
    reason: str
    commands: frozenset[str]


def check_rejections(
    saga: type[Saga], contract: SagaContract, registry: Registry, problems: Problems
) -> None:
    """Note each reason that a saga counts on and that none of its commands is rejected for.

    The source of the class is read, not run: what `accepts` of `execute` and of a `Compensation` names, and
    what the reason of a caught `StepRejected` is compared with. Constants count under any name. Where the
    source does not say which command is meant, a reason of any command that the saga's contract names in
    `sends` will do; where it does not say the reason, nothing is checked. Functions outside the class, and
    code whose source is not at hand, are left alone.

    Args:
        saga: The saga's class.
        contract: Its contract.
        registry: The contracts of all contexts.
        problems: Where to note what does not fit.
    """
    for use in dict.fromkeys(_uses(saga)):
        types = sorted(use.commands or contract.sends)
        commands = [registry.commands[type_] for type_ in types if type_ in registry.commands]
        declared = {reason for command in commands for reason in command.rejects}
        if use.reason not in declared | PLATFORM_REASONS:
            fault, fix = _contradiction(use, commands)
            problems.add(saga.__module__, use.method, fault, fix)


def _contradiction(use: _Use, commands: Iterable[CommandContract]) -> tuple[str, str]:
    """Return what is wrong with a use, and what to do about it."""
    if not use.commands:
        fault = f"counts on the reason {use.reason}, for which no command that the saga sends is rejected"
        return fault, "correct it, or add it to `rejects` of the command that is meant"
    types = ", ".join(command.type for command in commands)
    declared = ", ".join(dict.fromkeys(name for command in commands for name in command.rejects)) or "none"
    files = ", ".join(dict.fromkeys(command.message.DESCRIPTOR.file.name for command in commands))
    fault = f"counts on the reason {use.reason}, for which {types} is not rejected (declared: {declared})"
    return fault, f"correct it, or add it to `rejects` in {files}"


def _uses(saga: type[Saga]) -> Iterator[_Use]:
    for source in method_sources(saga, Saga):
        for node in ast.walk(source.tree):
            if isinstance(node, ast.Call):
                yield from _accepted(source, node)
            elif isinstance(node, ast.Try):
                yield from _compared(source, node)


def _accepted(source: MethodSource, call: ast.Call) -> Iterator[_Use]:
    """Yield what an `execute` or a `Compensation` accepts."""
    if not _is_step(source, call, "execute") and not _is_compensation(source, call):
        return
    arguments = {keyword.arg: keyword.value for keyword in call.keywords}
    command = call.args[0] if call.args else arguments.get("command")
    accepts = call.args[1] if len(call.args) > 1 else arguments.get("accepts")
    if command is not None and accepts is not None:
        commands = source.messages(command)
        for reason in source.texts(accepts):
            yield _Use(source.name, reason, commands)


def _is_step(source: MethodSource, call: ast.Call, *names: str) -> bool:
    called = call.func
    return isinstance(called, ast.Attribute) and called.attr in names and source.is_self(called.value)


def _is_compensation(source: MethodSource, call: ast.Call) -> bool:
    try:
        return source.value(call.func) is Compensation
    except Unresolved:
        return False


def _compared(source: MethodSource, node: ast.Try) -> Iterator[_Use]:
    """Yield the reasons that handlers of `StepRejected` compare with."""
    commands = _sent_in(source, node.body)
    for handler in node.handlers:
        if handler.name and handler.type is not None and _catches_rejections(source, handler.type):
            for reason in _reasons_in(source, handler):
                yield _Use(source.name, reason, commands)


def _catches_rejections(source: MethodSource, node: ast.expr) -> bool:
    """Return whether a handler catches rejections and nothing else, whose reasons would be others."""
    try:
        return source.value(node) is StepRejected
    except Unresolved:
        return False


def _sent_in(source: MethodSource, body: Iterable[ast.stmt]) -> frozenset[str]:
    """Return the commands that are sent in the body of a `try`; nothing when that is not known."""
    commands: frozenset[str] = frozenset()
    for node in (node for statement in body for node in ast.walk(statement)):
        if not isinstance(node, ast.Await):
            continue
        call = node.value
        if not isinstance(call, ast.Call) or not _is_step(source, call, "execute", *_HARMLESS):
            return frozenset()
        if _is_step(source, call, "execute"):
            sent = source.messages(call.args[0]) if call.args else frozenset()
            if not sent:
                return frozenset()
            commands |= sent
    return commands


def _reasons_in(source: MethodSource, handler: ast.ExceptHandler) -> Iterator[str]:
    def is_reason(node: ast.expr) -> bool:
        match node:
            case ast.Attribute(value=ast.Name(id=handler.name), attr="reason"):
                return True
        return False

    for node in (node for statement in handler.body for node in ast.walk(statement)):
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            if any(map(is_reason, sides)):
                yield from (text for side in sides for text in source.texts(side))
        elif isinstance(node, ast.Match) and is_reason(node.subject):
            for pattern in (part for case in node.cases for part in ast.walk(case.pattern)):
                if isinstance(pattern, ast.MatchValue):
                    yield from source.texts(pattern.value)
