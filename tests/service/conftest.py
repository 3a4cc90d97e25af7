from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from .support import Served, served


@pytest_asyncio.fixture
async def orders() -> AsyncIterator[Served]:
    """The orders context, served from memory."""
    async with served() as serving:
        yield serving
