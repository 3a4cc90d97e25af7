"""Finds handlers that change what only events may change."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from google.protobuf.message import Message

from intent.contracts.differences import difference
from intent.errors import StateChanged
from intent.model.aggregate import Aggregate

__all__ = ["StateWatch"]

_ALWAYS: Final = 512
"""A state of at most so many bytes is looked at for each command."""

_REFUSED: Final = "the handler changed the state of a command that it refused"
_DECIDED: Final = "the state is not what its events make; only appliers may change it, from their event alone"
_COMMAND: Final = "the handler changed its command"
_REMEMBER: Final = "what an aggregate remembers is in its state, which only appliers change"
_NOTHING: Final = object()


class _Look(NamedTuple):
    """What there was before a handler ran.

    Attributes:
        attributes: The aggregate's attributes.
        state: Its state; None when it is too large to be looked at for each command.
        command: The command, when the watch is strict.
    """

    attributes: Mapping[str, Any]
    state: bytes | None
    command: bytes

    @property
    def version(self) -> int:
        """The aggregate's version."""
        version: int = self.attributes["version"]
        return version


class StateWatch:
    """Looks whether handlers change their aggregate, which only events may.

    A strict one looks at each command, at its appliers as well, and raises. One that is not strict looks
    at large states now and then, so that each command costs the same. It undoes what it finds, which
    makes the state what its events make of it, unless it was changed before when nobody looked.

    Args:
        strict: Whether a change is the command's defect.
        chance: Returns a random number from 0 to 1.

    Attributes:
        strict: Whether a change is the command's defect.
    """

    def __init__(self, *, strict: bool = False, chance: Callable[[], float] = random.random) -> None:
        self.strict = strict
        self._chance = chance
        self._caught: set[type[Message]] = set()

    def before(self, aggregate: Aggregate[Any], command: Message) -> _Look:
        """Look at an aggregate before its handler runs."""
        state = None
        if self._looks_at(aggregate, command):
            state = aggregate.state.SerializeToString()
            aggregate._size = len(state)
        else:
            aggregate._unseen = True
        contents = command.SerializeToString(deterministic=True) if self.strict else b""
        return _Look(vars(aggregate).copy(), state, contents)

    def after(
        self, look: _Look, aggregate: Aggregate[Any], command: Message, refusal: Exception | None = None
    ) -> None:
        """Compare an aggregate with what it was before its handler ran.

        Raises:
            StateChanged: It is another, and the watch is strict.
        """
        changed = _changed(look, aggregate)
        if self.strict:
            if changed:
                raise StateChanged("STATE_CHANGED", _told(look, aggregate, changed, refusal))
            _refuse_another(_COMMAND, look.command, command)
        elif changed:
            self._caught.add(type(command))
            _undo(look, aggregate)
            aggregate._fault = ", ".join(changed)

    def applied(self, look: _Look, aggregate: Aggregate[Any], replayed: Message) -> None:
        """Compare the state after a command with what the same events make of the state before it.

        Raises:
            StateChanged: It is another.
        """
        known = look.attributes.keys()
        if new := sorted(vars(aggregate).keys() - known):
            raise StateChanged("STATE_CHANGED", f"an applier set {', '.join(new)}; {_REMEMBER}")
        _refuse_another(_DECIDED, replayed.SerializeToString(deterministic=True), aggregate.state)

    def _looks_at(self, aggregate: Aggregate[Any], command: Message) -> bool:
        size = aggregate._size
        if size <= _ALWAYS or self.strict or type(command) in self._caught:
            return True
        return self._chance() * size < _ALWAYS


def _changed(look: _Look, aggregate: Aggregate[Any]) -> list[str]:
    """Return the names of what a handler changed."""
    before, state = look.attributes, aggregate.state
    changed: list[str] = []
    if vars(aggregate) != before:
        after = vars(aggregate)
        names = sorted(before.keys() | after.keys())
        changed = [name for name in names if before.get(name, _NOTHING) != after.get(name, _NOTHING)]
    if look.state is not None and isinstance(state, Message) and state.SerializeToString() != look.state:
        # Maps have no order: only what is read back can be compared.
        kept = type(state).FromString(look.state)
        changed += [f"state.{field.name}" for field in _fields_that_differ(kept, state)]
    return changed


def _fields_that_differ(one: Message, other: Message) -> list[Any]:
    if one == other:
        return []
    return [f for f in one.DESCRIPTOR.fields if _only(one, f.name) != _only(other, f.name)]


def _only(message: Message, name: str) -> Message:
    """Return a copy of a message with one field."""
    copy = type(message)()
    copy.CopyFrom(message)
    for field in message.DESCRIPTOR.fields:
        if field.name != name:
            copy.ClearField(field.name)
    copy.DiscardUnknownFields()
    return copy


def _undo(look: _Look, aggregate: Aggregate[Any]) -> None:
    vars(aggregate).clear()
    vars(aggregate).update(look.attributes)
    if look.state is not None:
        aggregate.state = type(aggregate.state).FromString(look.state)


def _told(look: _Look, aggregate: Aggregate[Any], changed: list[str], refusal: Exception | None) -> str:
    fault = _REFUSED if refusal is not None else _DECIDED
    own = [name for name in changed if not name.startswith("state")]
    if own or look.state is None or not isinstance(aggregate.state, Message):
        return f"{fault}: the handler set {', '.join(own or changed)}; {_REMEMBER}"
    return _shown(fault, look.state, aggregate.state)


def _refuse_another(fault: str, expected: bytes, actual: Message) -> None:
    if actual.SerializeToString(deterministic=True) != expected:
        raise StateChanged("STATE_CHANGED", _shown(fault, expected, actual))


def _shown(fault: str, expected: bytes, actual: Message) -> str:
    return f"{fault} (- from events, + actual):\n{difference([type(actual).FromString(expected)], [actual])}"
