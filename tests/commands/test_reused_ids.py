"""An id belongs to one command: it has one effect, and no other command gets it."""

from __future__ import annotations

from uuid import UUID

import pytest
from intent.commands import AggregateCache, CommandHandling
from intent.contracts import Registry
from intent.store.memory import MemoryEventStore
from orders.context import context as orders

from ..support.command_path import place
from .test_handling import envelope, shown


@pytest.fixture
def store() -> MemoryEventStore:
    return MemoryEventStore()


@pytest.fixture
def handling(store: MemoryEventStore) -> CommandHandling:
    return CommandHandling(orders.bind(Registry.load()), store, AggregateCache())


async def test_one_id_twice_in_a_batch_has_one_effect(
    handling: CommandHandling, store: MemoryEventStore
) -> None:
    same = envelope(place("o-1"))
    other = envelope(place("o-9"), command_id=UUID(same.command_id))
    assert shown(await handling.handle([same, same, other])) == ["v1", "v1*", "COMMAND_ID_REUSED"]
    assert await store.position() == 1


async def test_an_id_with_other_contents_is_refused_later_too(handling: CommandHandling) -> None:
    first = envelope(place("o-1"))
    await handling.handle([first])
    other = envelope(place("o-2"), command_id=UUID(first.command_id))
    assert shown(await handling.handle([other])) == ["COMMAND_ID_REUSED"]


async def test_an_id_that_is_refused_says_whether_its_first_command_was_rejected(
    handling: CommandHandling,
) -> None:
    first, again = envelope(place("o-1")), envelope(place("o-1"))
    assert shown(await handling.handle([first, again])) == ["v1", "ORDER_ALREADY_PLACED"]
    ids = [UUID(command.command_id) for command in (first, again)]
    handled = await handling.handle([envelope(place("o-2"), command_id=id_) for id_ in ids])
    assert [each.failure.metadata.get("recorded") for each in handled.outcomes] == [None, "rejection"]
