"""A router that holds commands."""

from __future__ import annotations

import asyncio

from intent.commands.requests import CommandRequest
from intent_contracts.intent.v1 import CommandResult

from .support import MemoryRouter


class Gate:
    """A router that holds commands until it is opened.

    Attributes:
        opened: Set to let the commands pass.
        held: How many commands have arrived.
    """

    def __init__(self, inner: MemoryRouter) -> None:
        self.opened = asyncio.Event()
        self.held = 0
        self._inner = inner
        self._more = asyncio.Condition()

    async def has(self, count: int) -> None:
        """Wait until so many commands have arrived."""
        async with self._more:
            await self._more.wait_for(lambda: self.held >= count)

    async def handle(self, request: CommandRequest) -> CommandResult:
        async with self._more:
            self.held += 1
            self._more.notify_all()
        await self.opened.wait()
        return await self._inner.handle(request)

    def close(self) -> None:
        self._inner.close()

    async def drain(self, timeout: float) -> bool:
        return await self._inner.drain(timeout)
