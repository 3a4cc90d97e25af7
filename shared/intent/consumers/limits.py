"""How many consumers there are: the most of one tenant, and the end of those that nobody uses."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from intent.consumers.database import ConsumerDatabase
from intent.consumers.keys import EVERY_TENANT, ConsumerKey
from intent.consumers.settings import ConsumerSettings
from intent.errors import Overloaded

__all__ = ["forget_unused", "too_many_consumers"]

_log: Final = logging.getLogger(__name__)
_RETRY_MS: Final = 60_000


async def forget_unused(database: ConsumerDatabase, settings: ConsumerSettings) -> None:
    """Remove, from time to time, the consumers that have had no instance for long and nothing parked."""
    while True:
        for key in await database.forget(settings.days_kept):
            _log.warning("consumer %s is forgotten: no instance for %d days", key, settings.days_kept)
        await asyncio.sleep(settings.forget_every)


def too_many_consumers(key: ConsumerKey, limit: int) -> Overloaded:
    """Return the error for an instance whose consumer would be new, and one too many."""
    whose = "all tenants together" if key.tenant == EVERY_TENANT else f"tenant {key.tenant}"
    return Overloaded(
        "TOO_MANY_CONSUMERS",
        f"{whose} may have {limit} consumers, and {key.name} would be one more; remove one that is not used "
        "any more (`intent consumers remove`)",
        metadata={"limit": str(limit)},
        retry_after_ms=_RETRY_MS,
    )
