"""Calls of a context, and waits for the effects of its sagas."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection
from typing import Any, TypeVar

from google.protobuf.message import Message
from intent.client import IntentClient
from intent.contracts import Registry
from intent.dev.platform import ContextService
from intent.errors import NotFound

V = TypeVar("V", bound=Message)
PATIENCE = 60.0
REGISTRY = Registry.load()


def calling(service: ContextService, tenant: str) -> IntentClient:
    """Return a client."""
    return IntentClient.connect(service.target, tenant=tenant, timeout=PATIENCE, registry=REGISTRY)


async def standing(client: IntentClient, query: Message, view: type[V], statuses: Collection[Any]) -> V:
    """Wait until the status in a view is one of these, and return the view."""
    deadline, shown = time.monotonic() + PATIENCE, None
    while time.monotonic() < deadline:
        try:
            shown = await client.query(query, view)
        except NotFound:
            shown = None
        if shown is not None and shown.status in statuses:  # type: ignore[attr-defined]
            return shown
        await asyncio.sleep(0.05)
    raise AssertionError(f"waited for {statuses} without success, it shows: {shown}")
