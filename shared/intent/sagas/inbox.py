"""The events that reached a saga, and which of them a step has taken."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from intent_contracts.intent.v1 import RecordedEvent

__all__ = ["Inbox"]


class Inbox:
    """Keeps events in the order in which they came, each once.

    Events are numbered from 1 up, so that a journal can record which one a step took.

    Args:
        events: The events of earlier runs.
        taken: The numbers of those that its steps have taken.
    """

    def __init__(self, events: Iterable[RecordedEvent] = (), taken: Iterable[int] = ()) -> None:
        self._events: list[RecordedEvent] = []
        self._known: set[str] = set()
        self._untaken: dict[int, RecordedEvent] = {}
        for event in events:
            self.deliver(event)
        for number in taken:
            self._untaken.pop(number, None)

    @property
    def events(self) -> list[RecordedEvent]:
        """All events, taken or not."""
        return self._events

    @property
    def untaken(self) -> list[str]:
        """The full names of the events that no step has taken, in the order in which they came."""
        return [event.type for event in self._untaken.values()]

    def deliver(self, event: RecordedEvent) -> bool:
        """Add an event; return False when it came before."""
        if event.event_id in self._known:
            return False
        self._known.add(event.event_id)
        self._events.append(event)
        self._untaken[len(self._events)] = event
        return True

    def find(self, types: Collection[str], upto: int | None = None) -> int:
        """Return the number of the first event of these types that no step has taken; 0 without one.

        Args:
            types: The full names of the events.
            upto: The number of the last event that counts; None: all count.
        """
        for number, event in self._untaken.items():
            if upto is not None and number > upto:
                break
            if event.type in types:
                return number
        return 0

    def take(self, number: int) -> RecordedEvent:
        """Mark an event as taken, and return it."""
        self._untaken.pop(number, None)
        return self._events[number - 1]
