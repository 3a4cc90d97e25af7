"""A whole installation of Intent on one machine, for development, as `intent dev` runs it."""

from intent.dev.layout import DevLayout
from intent.dev.stack import DevStack
from intent.dev.state import ContextAddress, DevState

__all__ = [
    "ContextAddress",
    "DevLayout",
    "DevStack",
    "DevState",
]
