"""One thing after the other goes wrong under all that a context does: nothing lost, doubled or stuck."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from .bed import Bed, laid
from .menu import MENU
from .storms.faults import storm
from .witnesses import Consumed, consuming

pytestmark = pytest.mark.chaos

_SHORT = (
    "read-only",
    "password",
    "grant",
    "limit",
    "locked",
    "reset",
    "silence",
    "standby",
    "silent-process",
    "killed-process",
)


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="intent-tests-", ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest_asyncio.fixture(scope="module")
async def bed(folder: Path) -> AsyncIterator[tuple[Bed, Consumed]]:
    async with laid(folder) as bed, consuming(bed.clients["orders"]) as consumed:
        yield bed, consumed


@pytest.mark.parametrize("name", _SHORT)
async def test_nothing_is_lost_doubled_or_stuck_after(name: str, bed: tuple[Bed, Consumed]) -> None:
    seed = 1000 + sorted(MENU).index(name)
    said: list[str] = []
    await storm(*bed, seed, name, said.append)
    assert said
