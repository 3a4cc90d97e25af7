"""Releases of a context that run side by side."""

from __future__ import annotations

from intent.model import BoundContext

__all__ = ["reading"]


def reading(context: BoundContext, event: str, version: int) -> BoundContext:
    """Let a context read a version of an event that the release under test does not know; return it.

    Stands for a later release: one in which the contract is at that version.
    """
    upcasters = context.upcasters
    plan = upcasters._plan(event, context.registry.event(event).version)
    assert plan is not None
    upcasters._plans[event, version] = plan
    return context
