"""Everything of Intent on one machine, for development: what `intent dev` runs."""

from __future__ import annotations

from intent.runtime.dev.layout import DevLayout
from intent.runtime.dev.stack import DevStack
from intent.runtime.dev.state import ContextAddress, DevState

__all__ = ["ContextAddress", "DevLayout", "DevStack", "DevState"]
