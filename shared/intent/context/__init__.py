"""A bounded context: its declaration, the checks against its contracts, and how it is found."""

from intent.context.declaration import BoundContext as BoundContext
from intent.context.declaration import Context as Context
from intent.context.discovery import discover as discover
from intent.context.discovery import load_context as load_context

__all__ = ["BoundContext", "Context", "discover", "load_context"]
