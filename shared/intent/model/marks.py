"""The marks that decorators leave on methods, and their one reader for every class that has handlers.

A decorator only marks. A class reads its marks when it is defined, inherited ones too, and keeps
contradictions as problems: binding a context reports those of all its classes at once.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, TypeAlias, TypeVar

from google.protobuf.message import Message

from intent.annotations import message_of, type_hints
from intent.contracts import Problems

__all__ = ["Declared", "Kind", "MarkedMethod", "Member", "by_message", "mark", "members_of", "read_marks"]

T = TypeVar("T")

_MARKS: Final = "__intent_marks__"
_WRAPPED: Final = ("__func__", "fget", "func")
"""Where static methods, class methods and properties keep the function that they were made of."""
_POSITIONAL: Final = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of handler.

    Attributes:
        decorator: The name of its decorator.
        takes: What its parameters after ``self`` are; the last names the message that it handles.
        metadata: The class of a further parameter, which a handler may leave out; None: there is none.
        coroutine: True: it must be a coroutine function; False: it must not; None: it may.
    """

    decorator: str
    takes: tuple[str, ...]
    metadata: type | None = None
    coroutine: bool | None = False


class Member(NamedTuple):
    """An attribute of a class.

    Attributes:
        module: The module of the class that defines it.
        subject: Its name after the name of that class, as problems show it.
        name: Its name.
        value: Its value, not bound.
    """

    module: str
    subject: str
    name: str
    value: Any


class MarkedMethod(NamedTuple):
    """A method that a decorator marked.

    Attributes:
        member: Where it is defined.
        kind: The kind of handler.
        method: The method, not bound.
        message: The message that it handles.
        parameters: The names of its parameters after ``self``.
        hints: Its annotations, evaluated.
        options: What the decorator was given besides the method.
    """

    member: Member
    kind: Kind
    method: Callable[..., Any]
    message: type[Message]
    parameters: tuple[str, ...]
    hints: Mapping[str, Any]
    options: Any

    @property
    def takes_metadata(self) -> bool:
        """True when its last parameter is the metadata."""
        return len(self.parameters) > len(self.kind.takes)


Declared: TypeAlias = tuple[Member, type[Message], T]
"""A handler with the member that declares it and the message that it handles."""


class _Misplaced:
    """Stands for something that cannot carry a mark, e.g. a property."""

    def __init__(self, value: object) -> None:
        self.value = value


def mark(kind: Kind, method: T, options: object = None) -> T:
    """Mark a method as a handler; what is no method is reported when its class is read.

    Args:
        kind: The kind of handler.
        method: The method.
        options: What else the decorator was given.
    """
    marks = {**_marks_of(method), kind: options}
    try:
        setattr(method, _MARKS, marks)
    except (AttributeError, TypeError):
        misplaced: Any = _Misplaced(method)
        setattr(misplaced, _MARKS, marks)
        return misplaced  # type: ignore[no-any-return]
    return method


def members_of(cls: type) -> Iterator[Member]:
    """Yield the attributes of a class and of its bases, without those that are overridden."""
    owners = {name: base for base in reversed(cls.__mro__) for name in vars(base)}
    for name, owner in owners.items():
        yield Member(owner.__module__, f"{owner.__qualname__}.{name}", name, vars(owner)[name])


def read_marks(cls: type, kinds: Sequence[Kind], problems: Problems) -> list[MarkedMethod]:
    """Return the marked methods of a class, inherited ones too, in the order of their definition.

    Args:
        cls: The class.
        kinds: The kinds of handlers that such a class may have.
        problems: Where to note marked members that cannot be such handlers.
    """
    return [
        method
        for member in members_of(cls)
        for kind, options in _marks_of(member.value).items()
        if _is_expected(member, kind, kinds, problems)
        if (method := _read(member, kind, options, problems))
    ]


def by_message(declared: Iterable[Declared[T]], problems: Problems) -> dict[str, T]:
    """Return handlers by the full names of their messages, noting messages that are handled twice."""
    first: dict[str, Member] = {}
    handlers: dict[str, T] = {}
    for member, message, handler in declared:
        type_ = message.DESCRIPTOR.full_name
        if type_ in first:
            fault = f"takes {type_}, which {first[type_].subject} takes already"
            _add(problems, member, fault, "leave one of the two")
        else:
            first[type_], handlers[type_] = member, handler
    return handlers


def _marks_of(value: object) -> Mapping[Kind, Any]:
    """Return what was marked, on a value or on the function that it wraps, by the kind of the mark."""
    for marked in (value, *(getattr(value, name, None) for name in _WRAPPED)):
        marks = getattr(marked, _MARKS, None)
        if isinstance(marks, dict):
            return marks
    return {}


def _add(problems: Problems, member: Member, fault: str, fix: str) -> None:
    problems.add(member.module, member.subject, fault, fix)


def _is_expected(member: Member, kind: Kind, kinds: Sequence[Kind], problems: Problems) -> bool:
    """Return whether a member may have a mark of this kind, noting why not."""
    if kind not in kinds:
        wanted = " or ".join(f"@{each.decorator}" for each in kinds)
        fix = f"use {wanted} here, or move it to another class" if wanted else "remove the mark"
        _add(problems, member, f"is marked with @{kind.decorator}, which has no meaning in its class", fix)
        return False
    if not inspect.isfunction(member.value):
        value = member.value.value if isinstance(member.value, _Misplaced) else member.value
        fault = f"is marked with @{kind.decorator}, but is no method (its type is {type(value).__name__})"
        _add(problems, member, fault, "mark a plain method, whose first parameter is self")
        return False
    return True


def _read(member: Member, kind: Kind, options: object, problems: Problems) -> MarkedMethod | None:
    method = member.value
    _check_coroutine(member, kind, problems)
    names = _parameters(member, kind, problems)
    if names is None:
        return None
    try:
        hints = type_hints(method)
    except TypeError as error:
        fault = f"has an annotation that cannot be evaluated ({error.__cause__})"
        _add(problems, member, fault, "correct it, and import what it names at the top of the module")
        return None
    _check_metadata(member, kind, names, hints, problems)
    name = names[len(kind.takes) - 1]
    message = message_of(hints.get(name))
    if message is None:
        fault = f"does not say which {kind.takes[-1]} it takes: {_annotation(hints, name)}"
        fix = f"annotate the parameter {name!r} with a message imported at the top of the module"
        _add(problems, member, fault, fix)
        return None
    return MarkedMethod(member, kind, method, message, names, hints, options)


def _annotation(hints: Mapping[str, Any], name: str) -> str:
    """Return in words what a parameter is annotated with."""
    if name not in hints:
        return f"{name!r} has no annotation"
    hint = hints[name]
    return f"{name!r} is annotated with {hint.__name__ if isinstance(hint, type) else hint}"


def _check_coroutine(member: Member, kind: Kind, problems: Problems) -> None:
    # A decorator between the mark and the method may hide a coroutine function behind a plain one.
    functions = (member.value, inspect.unwrap(member.value))
    if kind.coroutine is True and not any(map(inspect.iscoroutinefunction, functions)):
        _add(problems, member, "is no coroutine function", "make it an async def")
    is_async = inspect.iscoroutinefunction(member.value) or inspect.isasyncgenfunction(member.value)
    if kind.coroutine is False and is_async:
        fault = "is an async def, which nobody awaits"
        _add(problems, member, fault, "make it a plain def, which does no input and output")


def _parameters(member: Member, kind: Kind, problems: Problems) -> tuple[str, ...] | None:
    """Return the names of the parameters after ``self``; None when they are not what the kind takes."""
    parameters = list(inspect.signature(member.value).parameters.values())[1:]
    odd = [str(each) for each in parameters if each.kind not in _POSITIONAL]
    counts = range(len(kind.takes), len(kind.takes) + (2 if kind.metadata else 1))
    if not odd and len(parameters) in counts:
        return tuple(each.name for each in parameters)
    fault = f"takes {len(parameters)} parameter{'' if len(parameters) == 1 else 's'} besides self"
    if odd:
        fault = f"has parameters that are not positional ({', '.join(odd)})"
    taken = ", ".join(f"the {each}" for each in kind.takes)
    rest = " and, if wanted, the metadata" if kind.metadata else " and nothing else"
    _add(problems, member, fault, f"let it take {taken}{rest}")
    return None


def _check_metadata(
    member: Member, kind: Kind, names: tuple[str, ...], hints: Mapping[str, Any], problems: Problems
) -> None:
    if kind.metadata is None or len(names) == len(kind.takes):
        return
    hint = hints.get(names[-1])
    if isinstance(hint, type) and not issubclass(kind.metadata, hint):
        fault = f"takes no metadata: {_annotation(hints, names[-1])}"
        fix = f"annotate the parameter {names[-1]!r} with {kind.metadata.__name__}"
        _add(problems, member, fault, fix)
