"""The sandbox in which sagas run: what their code must not do is refused."""

from __future__ import annotations

import sys
import threading
from typing import Any

from temporalio.converter import StorageDriverStoreContext
from temporalio.worker import WorkflowInstance, WorkflowInstanceDetails
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions
from temporalio.workflow import Info, SandboxImportNotificationPolicy

__all__ = ["saga_runner"]

_SHARED = ("google", "intent", "intent_contracts", "protovalidate")
"""What the sandbox takes from the process: the platform, the contracts and what they are made of."""

_IMPORTING = "<frozen importlib._bootstrap>"
"""The file of Python's own code that imports, and that holds the locks of modules."""

_NOWHERE = StorageDriverStoreContext(target=None)


def saga_runner() -> SandboxedWorkflowRunner:
    """Returns the sandbox of sagas: their own modules are loaded anew for each, and restricted."""
    restrictions = SandboxRestrictions.default.with_passthrough_modules(*_SHARED)
    silent = SandboxImportNotificationPolicy.SILENT
    return _SagaRunner(restrictions.with_import_notification_policy(silent))


class _SagaRunner(SandboxedWorkflowRunner):
    """Makes sandboxed workflows that are not asked about each of their payloads.

    The SDK asks an instance, within its sandbox, in which context to convert every payload. The
    platform's converter has no codec, no store outside and no use for contexts; the question took
    a fifth of the time of a process that runs sagas.
    """

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        """Makes a workflow in a sandbox of its own."""
        return _SagaInstance(super().create_instance(det))


class _SagaInstance(WorkflowInstance):
    """A sandboxed workflow whose payloads need no context, and that survives being given up.

    The SDK gives a task up that takes two seconds, with all the time that it waited for a thread or
    for other threads: it interrupts the thread, and drops the workflow without waiting for it.
    """

    def __init__(self, sandboxed: WorkflowInstance) -> None:
        self._sandboxed = sandboxed
        self._activating = threading.Lock()

    def activate(self, act: Any) -> Any:
        """Goes on in the sandbox, when what was given up has ended: two at once would end neither."""
        with self._activating:
            return self._sandboxed.activate(act)

    def get_serialization_context(self, command_info: Any) -> None:
        """Returns none."""

    def get_external_store_context(self, command_info: Any) -> StorageDriverStoreContext:
        """Returns an empty one."""
        return _NOWHERE

    def get_info(self) -> Info:
        """Returns what is known of the workflow."""
        return self._sandboxed.get_info()

    def get_thread_id(self) -> int | None:
        """Returns the thread that may be interrupted when its task takes too long.

        None while it imports: an exception that comes out of nowhere leaves a module's lock taken, and
        no saga that loads the module would ever go on in this process. The import is waited for.
        """
        thread = self._sandboxed.get_thread_id()
        return None if thread is None or _imports(thread) else thread


def _imports(thread: int) -> bool:
    """Tells whether a thread is within an import."""
    frame = sys._current_frames().get(thread)
    while frame is not None:
        if frame.f_code.co_filename == _IMPORTING:
            return True
        frame = frame.f_back
    return False
