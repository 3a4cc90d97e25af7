"""The sagas that workers of this process run, by the type of their workflow.

A sandbox loads a saga's module for each workflow, so that it can refuse what the code must not do.
It cannot be given the class itself, so it finds here, in a module that it shares with the process,
where to load the class from.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from datetime import timedelta

from temporalio.common import VersioningBehavior

from intent.model import BoundContext
from intent.saga_host.code import keep_code
from intent.sagas import Saga
from intent.sagas.host import NEVER
from intent.temporal.versioning import UNVERSIONED, Versioning

__all__ = ["SagaType", "register_sagas", "saga_type"]


@dataclass(frozen=True, slots=True)
class SagaType:
    """What running a saga needs, besides its class.

    Attributes:
        context: The context that runs it.
        module: The module of its class.
        name: The class's name.
        sends: The full names of the commands that it may send.
        behavior: Which version of the code continues it.
        park_after: How long a step is held up before it is parked.
    """

    context: str
    module: str
    name: str
    sends: tuple[str, ...]
    behavior: VersioningBehavior
    park_after: timedelta

    def load(self) -> type[Saga]:
        """Import the class, in the sandbox when called there."""
        saga: type[Saga] = getattr(importlib.import_module(self.module), self.name)
        return saga


_types: dict[str, SagaType] = {}


def register_sagas(
    context: BoundContext, versioning: Versioning = UNVERSIONED, park_after: timedelta = NEVER
) -> None:
    """Register the sagas of a context with the workflows of this process.

    Args:
        context: The context.
        versioning: The version of the code.
        park_after: How long a step is held up before it is parked.
    """
    for type_, saga in context.sagas.items():
        keep_code(saga.__module__)
        _types[type_] = SagaType(
            context=context.name,
            module=saga.__module__,
            name=saga.__qualname__,
            sends=context.registry.sagas[type_].sends,
            behavior=versioning.behavior(saga.name),
            park_after=park_after,
        )


def saga_type(type_: str) -> SagaType:
    """Return a saga by the type of its workflow.

    Raises:
        RuntimeError: This process does not run it; its task is retried, elsewhere or later.
    """
    saga = _types.get(type_)
    if saga is None:
        known = ", ".join(sorted(_types)) or "none"
        raise RuntimeError(f"this process runs no saga {type_}; it runs: {known}")
    return saga
