"""When and where a workflow converts what comes from Temporal; the same in every replay."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from temporalio.converter import StorageDriverStoreContext
from temporalio.worker import WorkflowInstance, WorkflowInstanceDetails, WorkflowRunner
from temporalio.workflow import Info

__all__ = ["Activation", "ClockedInstance", "ClockedRunner", "activating", "current_activation"]

_NOWHERE = StorageDriverStoreContext(target=None)


@dataclass(frozen=True, slots=True)
class Activation:
    """One turn of a workflow.

    Attributes:
        workflow_id: The workflow.
        time: The workflow's time, in seconds since 1970.
        age: How old the workflow is by then, in seconds.
        replaying: Whether the turn was taken before.
        committed: Whether the workflow goes on with what it was given, and so must not end if that is
            refused now.
    """

    workflow_id: str
    time: float
    age: float
    replaying: bool
    committed: bool


class _Current(threading.local):
    activation: Activation | None = None


_current = _Current()


def current_activation() -> Activation | None:
    """Return the turn that is taken in this thread; None: it runs no workflow."""
    return _current.activation


@contextmanager
def activating(act: Any, info: Info, *, judges: bool = False) -> Iterator[None]:
    """Note that a workflow takes a turn in this thread.

    Args:
        act: The SDK's message, which describes the turn.
        info: The workflow's info.
        judges: Whether the workflow itself decides what becomes of what it was given and is refused, such as
            of signals.
    """
    time = act.timestamp.ToNanoseconds() / 1e9
    before, age = _current.activation, time - info.start_time.timestamp()
    committed = not judges and (act.is_replaying or info.continued_run_id is not None)
    _current.activation = Activation(info.workflow_id, time, age, act.is_replaying, committed)
    try:
        yield
    finally:
        _current.activation = before


class ClockedRunner(WorkflowRunner):
    """A runner whose workflows know the time when they convert what comes from Temporal.

    The SDK converts the input of a workflow, and the results of its activities, before the workflow's
    own clock can be asked.

    Args:
        runner: Runs them.
    """

    def __init__(self, runner: WorkflowRunner) -> None:
        self._runner = runner

    def prepare_workflow(self, defn: Any) -> None:
        """Prepare a workflow."""
        self._runner.prepare_workflow(defn)

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        """Create a workflow."""
        return ClockedInstance(self._runner.create_instance(det), det.info)


class ClockedInstance(WorkflowInstance):
    """A workflow whose turns are noted. There is no codec, and so no use for the SDK's contexts of one.

    Args:
        inner: Takes the turns.
        info: The workflow's info.
        judges: See `activating`.
    """

    def __init__(self, inner: WorkflowInstance, info: Info, *, judges: bool = False) -> None:
        self._inner = inner
        self._info = info
        self._judges = judges

    def activate(self, act: Any) -> Any:
        """Take a turn."""
        with activating(act, self._info, judges=self._judges):
            return self._inner.activate(act)

    def get_serialization_context(self, command_info: Any) -> None:
        """Return no context."""

    def get_external_store_context(self, command_info: Any) -> StorageDriverStoreContext:
        """Return an empty context."""
        return _NOWHERE

    def get_info(self) -> Info:
        """Return the workflow's info."""
        return self._info

    def get_thread_id(self) -> int | None:
        """Return the thread in which it runs."""
        return self._inner.get_thread_id()
