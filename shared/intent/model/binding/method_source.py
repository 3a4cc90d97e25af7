"""Reads what the names and expressions in a method's source stand for, without running it."""

from __future__ import annotations

import ast
import builtins
import inspect
import textwrap
import types
import typing
from collections.abc import Iterable, Iterator
from contextlib import suppress
from types import FunctionType, ModuleType
from typing import Any

from google.protobuf.message import Message

__all__ = ["MethodSource", "Unresolved", "method_sources"]

_COLLECTIONS = frozenset({frozenset, list, set, tuple})


class Unresolved(LookupError):
    """What an expression stands for is not known before the code runs."""


class MethodSource:
    """A method with its source.

    Args:
        owner: The class that the method is looked up in.
        function: The method.
        tree: Its definition.
        static: Whether its first parameter is no ``self``.

    Attributes:
        tree: Its definition.
    """

    def __init__(
        self,
        owner: type,
        function: FunctionType,
        tree: ast.FunctionDef | ast.AsyncFunctionDef,
        *,
        static: bool = False,
    ) -> None:
        self.tree = tree
        self._owner = owner
        self._function = function
        self._names = {**vars(builtins), **function.__globals__, **_nonlocals(function)}
        self._locals = set(_local_names(tree))
        self._self = "" if static else next(iter(inspect.signature(function).parameters), "")

    @property
    def name(self) -> str:
        """The qualified name of the method in its class."""
        return f"{self._owner.__qualname__}.{self._function.__name__}"

    def is_self(self, node: ast.expr) -> bool:
        """Return whether an expression is the method's ``self``."""
        return isinstance(node, ast.Name) and node.id == self._self

    def value(self, node: ast.expr) -> object:
        """Return the value of a constant, whatever its name.

        Raises:
            Unresolved: The expression is no constant.
        """
        match node:
            case ast.Constant(value=value):
                return value
            case ast.Name(id=name):
                return self._named(name)
            case ast.Attribute(value=of, attr=name):
                holder = self.value(of)
                if isinstance(holder, ModuleType | type) and hasattr(holder, name):
                    return getattr(holder, name)
        raise Unresolved(ast.unparse(node))

    def _named(self, name: str) -> object:
        if name == self._self:
            return self._owner
        if name not in self._locals and name in self._names:
            return self._names[name]
        assigned = self._assigned(name)
        if len(assigned) == 1:
            return self.value(assigned[0])
        raise Unresolved(name)

    def _assigned(self, name: str) -> list[ast.expr]:
        """Return all that is assigned to a local variable; nothing when it gets values in other ways too."""
        stores = [
            node
            for node in ast.walk(self.tree)
            if isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Store)
        ]
        values = [
            node.value
            for node in ast.walk(self.tree)
            if isinstance(node, ast.Assign | ast.AnnAssign)
            and node.value is not None
            and any(target in stores for target in _targets(node))
        ]
        parameter = name in inspect.signature(self._function).parameters
        return values if len(values) == len(stores) and not parameter else []

    def texts(self, node: ast.expr) -> Iterator[str]:
        """Yield the strings of an expression, or in its collections, as far as they are known."""
        match node:
            case ast.Set(elts=parts) | ast.List(elts=parts) | ast.Tuple(elts=parts):
                for part in parts:
                    yield from self.texts(part)
            case ast.Starred(value=inner):
                yield from self.texts(inner)
            case ast.BinOp(left=left, op=ast.BitOr(), right=right):
                yield from self.texts(left)
                yield from self.texts(right)
            case ast.IfExp(body=body, orelse=orelse):
                yield from self.texts(body)
                yield from self.texts(orelse)
            case ast.Call(func=maker, args=[inner]) if self._is_collection(maker):
                yield from self.texts(inner)
            case ast.Name(id=name) if len(assigned := self._assigned(name)) == 1:
                yield from self.texts(assigned[0])
            case _:
                yield from self._constant_texts(node)

    def _constant_texts(self, node: ast.expr) -> Iterator[str]:
        try:
            value = self.value(node)
        except Unresolved:
            return
        if isinstance(value, str):
            yield value
        elif isinstance(value, frozenset | list | set | tuple):
            yield from (item for item in value if isinstance(item, str))

    def _is_collection(self, node: ast.expr) -> bool:
        try:
            return self.value(node) in _COLLECTIONS
        except (Unresolved, TypeError):
            return False

    def messages(self, node: ast.expr) -> frozenset[str]:
        """Return the full names of the messages that an expression may be; nothing when it does not say."""
        try:
            classes = self._classes(node)
        except Unresolved:
            return frozenset()
        if any(not issubclass(cls, Message) or cls.DESCRIPTOR is None for cls in classes):
            return frozenset()
        return frozenset(cls.DESCRIPTOR.full_name for cls in classes if issubclass(cls, Message))

    def _classes(self, node: ast.expr) -> frozenset[type]:
        """Return the classes of which an expression may be an instance.

        Raises:
            Unresolved: It is not known.
        """
        match node:
            case ast.Call(func=ast.Attribute(value=of, attr=name)) if not self._is_constant(node.func):
                return _union(_returned(getattr(cls, name, None)) for cls in self._classes(of))
            case ast.Call(func=called):
                made = self.value(called)
                return frozenset({made}) if isinstance(made, type) else _returned(made)
            case ast.IfExp(body=body, orelse=orelse):
                return self._classes(body) | self._classes(orelse)
            case ast.Name(id=name) if name == self._self:
                return frozenset({self._owner})
            case ast.Name(id=name) if name in self._locals:
                assigned = self._assigned(name)
                return _union(map(self._classes, assigned)) if assigned else _hinted(self._function, name)
            case _:
                return frozenset({type(self.value(node))})

    def _is_constant(self, node: ast.expr) -> bool:
        try:
            self.value(node)
        except Unresolved:
            return False
        return True


def method_sources(owner: type, base: type) -> Iterator[MethodSource]:
    """Yield the methods of a class and of its bases below `base`, as far as their source is at hand."""
    members: dict[str, Any] = {}
    for cls in reversed(owner.__mro__):
        if cls not in base.__mro__:
            members.update(vars(cls))
    for member in members.values():
        function = getattr(member, "__func__", member)
        if not isinstance(function, FunctionType):
            continue
        function = inspect.unwrap(function)
        try:
            tree = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
        except (OSError, SyntaxError):
            continue
        if isinstance(tree, ast.FunctionDef | ast.AsyncFunctionDef):
            yield MethodSource(owner, function, tree, static=isinstance(member, staticmethod))


def _nonlocals(function: FunctionType) -> dict[str, object]:
    """Return the variables of enclosing functions that have a value."""
    found: dict[str, object] = {}
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        with suppress(ValueError):
            found[name] = cell.cell_contents
    return found


def _local_names(tree: ast.AST) -> Iterator[str]:
    """Yield the parameters and variables of a function, and of those within."""
    for node in ast.walk(tree):
        if isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.ExceptHandler) and node.name:
            yield node.name
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id


def _targets(node: ast.Assign | ast.AnnAssign) -> list[ast.expr]:
    return node.targets if isinstance(node, ast.Assign) else [node.target]


def _union(found: Iterable[frozenset[type]]) -> frozenset[type]:
    return frozenset().union(*found)


def _returned(function: object) -> frozenset[type]:
    return _hinted(function, "return")


def _hinted(function: object, name: str) -> frozenset[type]:
    """Return the classes that a parameter, or the result, is annotated with.

    Raises:
        Unresolved: It is annotated with none.
    """
    try:
        hint = typing.get_type_hints(function).get(name)
    except (NameError, TypeError) as error:
        raise Unresolved(name) from error
    union = typing.get_origin(hint) in (typing.Union, types.UnionType)
    named = [one for one in (typing.get_args(hint) if union else [hint]) if one is not type(None)]
    classes = frozenset(one for one in named if isinstance(one, type))
    if not classes or len(classes) != len(named):
        raise Unresolved(name)
    return classes
