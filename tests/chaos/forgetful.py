"""Temporal loses everything it remembers, and an operator has the logs delivered to sagas again."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from intent.dev.platform import LocalPlatform
from intent.process.redelivery import redeliver
from intent.settings.config import load_settings

from demo.world import CONTEXTS

from .logs import fetched
from .orders import OrderStorm
from .outages import Outage, Victim

__all__ = ["ForgetfulStorm"]

_LOOK: Final = 0.1
_NOT_NOTICED: Final = (
    "select from {context}.consumer_partitions where consumer = 'intent.sagas' and instance is null"
)


@dataclass(frozen=True, slots=True)
class _Forgetful:
    """A Temporal that keeps its state in memory, so that a restart loses it.

    Attributes:
        platform: The platform.
    """

    platform: LocalPlatform

    @property
    def name(self) -> str:
        """Its name."""
        return "Temporal with all that it remembers"

    def kill(self) -> None:
        """Lose everything."""
        self.platform.temporal.kill()

    def start(self) -> None:
        """Have the logs of all contexts delivered again, and start empty, as the guide says."""
        asyncio.run(self._redeliver())
        self.platform.temporal.start()

    async def _redeliver(self) -> None:
        for context in CONTEXTS:
            settings = load_settings(
                context=context,
                database_url=self.platform.dsn(context, "service"),
                query_database_url=self.platform.dsn(context, "query"),
                temporal_address=self.platform.temporal.address,
            )
            await redeliver(settings, context, 0, None)
        # What processes had under way is given up once they have noticed, which takes less than a start.
        for context in CONTEXTS:
            query = _NOT_NOTICED.format(context=context)
            while await fetched(self.platform.postgres.dsn, query):  # noqa: ASYNC110 - nothing signals it
                await asyncio.sleep(_LOOK)


@dataclass
class ForgetfulStorm(OrderStorm):
    """Orders while Temporal loses its data once in the middle."""

    def _planned(self) -> tuple[Mapping[str, Victim], Mapping[str, Sequence[Outage]]]:
        victim = _Forgetful(self.platform)
        return {victim.name: victim}, {victim.name: [Outage(self.seconds / 2, 1.0)]}
