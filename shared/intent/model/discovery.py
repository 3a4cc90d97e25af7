"""Finds the contexts that are installed, by their entry points."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points

from intent.errors import ConfigurationError
from intent.model.context import Context

__all__ = ["GROUP", "discover", "load_context"]

GROUP = "intent.contexts"
"""The entry point group in which a distribution names its context."""


def discover() -> dict[str, Context]:
    """Returns the installed contexts by name, in the order of their names.

    Raises:
        ConfigurationError: An entry point leads to no context, or to one of another name.
    """
    return {entry.name: _load(entry) for entry in sorted(entry_points(group=GROUP), key=lambda e: e.name)}


def load_context(name: str) -> Context:
    """Returns one installed context; its neighbours are not imported.

    Raises:
        ConfigurationError: No context of this name is installed, or its entry point is wrong.
    """
    entries = {entry.name: entry for entry in entry_points(group=GROUP)}
    if name not in entries:
        known = ", ".join(sorted(entries)) or "none"
        raise ConfigurationError(f"there is no context {name!r}; installed are: {known}")
    return _load(entries[name])


def _load(entry: EntryPoint) -> Context:
    try:
        context = entry.load()
    except (ImportError, AttributeError) as error:
        raise ConfigurationError(
            f"the context {entry.name} cannot be loaded from {entry.value}: {error}"
        ) from error
    if not isinstance(context, Context):
        raise ConfigurationError(f"{entry.value} is no Context; mend the entry point {entry.name}")
    if context.name != entry.name:
        raise ConfigurationError(
            f"{entry.value} is the context {context.name}, its entry point says {entry.name}; let them agree"
        )
    return context
