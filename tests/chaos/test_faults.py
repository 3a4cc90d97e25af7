"""One thing after the other goes wrong under all that a context does: nothing lost, doubled or stuck."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
import pytest_asyncio

from .bed import Bed, laid
from .storms.faults import storm
from .witnesses import Consumed, consuming

pytestmark = pytest.mark.chaos

# Several under the same load: getting quiet takes longest.
_SHORT = (
    ("read-only", "password", "grant", "standby", "silent-process"),
    ("login", "limit", "locked", "reset", "silence"),
)


@pytest_asyncio.fixture(scope="module")
async def bed(own_folder: Path) -> AsyncIterator[tuple[Bed, Consumed]]:
    async with laid(own_folder) as bed, consuming(bed.clients["orders"]) as consumed:
        yield bed, consumed


@pytest.mark.parametrize("names", _SHORT, ids=", ".join)
async def test_nothing_is_lost_doubled_or_stuck_after(
    names: Sequence[str], bed: tuple[Bed, Consumed]
) -> None:
    said: list[str] = []
    await storm(*bed, _SHORT.index(tuple(names)), names, said.append)
    assert said
