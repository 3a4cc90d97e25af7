"""Finds the contexts that are installed, by their entry points."""

from __future__ import annotations

from typing import TYPE_CHECKING

from intent.errors import ConfigurationError
from intent.model.context import Context

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint, EntryPoints

__all__ = ["GROUP", "discover", "load_context"]

GROUP = "intent.contexts"
"""The entry point group in which a distribution names its context."""


def discover() -> dict[str, Context]:
    """Return the installed contexts by name, in the order of their names.

    Raises:
        ConfigurationError: An entry point leads to no context, or to a context of another name.
    """
    return {entry.name: _load(entry) for entry in sorted(_entries(), key=lambda e: e.name)}


def load_context(name: str) -> Context:
    """Return one installed context; its neighbours are not imported.

    Raises:
        ConfigurationError: No context of this name is installed, or its entry point is wrong.
    """
    entries = {entry.name: entry for entry in _entries()}
    if name not in entries:
        known = ", ".join(sorted(entries)) or "none"
        raise ConfigurationError(f"there is no context {name!r}; installed are: {known}")
    return _load(entries[name])


def _entries() -> EntryPoints:
    # Loaded where it is needed: it brings forty modules, and whoever imports `intent.model`,
    # as the client does, would wait for them.
    from importlib.metadata import entry_points

    return entry_points(group=GROUP)


def _load(entry: EntryPoint) -> Context:
    try:
        context = entry.load()
    except (ImportError, AttributeError) as error:
        raise ConfigurationError(
            f"the context {entry.name} cannot be loaded from {entry.value}: {error}"
        ) from error
    if not isinstance(context, Context):
        raise ConfigurationError(f"{entry.value} is no Context; correct the entry point {entry.name}")
    if context.name != entry.name:
        raise ConfigurationError(
            f"{entry.value} is the context {context.name}, its entry point says {entry.name}; let them agree"
        )
    return context
