"""Hundreds of calls that must fail, of every kind, leave a process as it was."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from .bad_calls import BAD_CALLS
from .storms.floods import Flooded, flooded

pytestmark = pytest.mark.chaos

_CALLS = 100
_HEAVY = {"too-large", "inflated", "empty-lines", "long-texts"}
"""Kinds of which a call takes the callers tens of milliseconds."""


@pytest_asyncio.fixture(scope="module")
async def under(own_folder: Path) -> AsyncIterator[Flooded]:
    async with flooded(own_folder, warm=50) as process:
        yield process


@pytest.mark.parametrize("name", BAD_CALLS)
async def test_a_process_bears_bad_calls(name: str, under: Flooded) -> None:
    await under.storm(name, _CALLS // 5 if name in _HEAVY else _CALLS)
