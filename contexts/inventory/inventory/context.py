"""The declaration of the inventory context: all that the platform needs to run it."""

from __future__ import annotations

from intent.context import Context

__all__ = ["context"]

context = Context("inventory")
