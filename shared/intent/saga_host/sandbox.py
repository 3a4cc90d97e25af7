"""The sandbox in which sagas run: it refuses what their code must not do."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

from temporalio.worker import WorkflowInstance, WorkflowInstanceDetails
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxMatcher, SandboxRestrictions
from temporalio.workflow import Info, SandboxImportNotificationPolicy

from intent.guarding import Guard, Poison, UnderWay
from intent.sagas.forbidden import BESIDE_STEPS
from intent.temporal.signing import ClockedInstance

__all__ = ["saga_runner"]

_SHARED = ("google", "intent", "intent_contracts", "protovalidate")
"""What the sandbox shares with the process: the platform, the contracts and what these import."""

_IMPORTING = "<frozen importlib._bootstrap>"
"""The file of Python's own code for imports, which holds the locks of modules."""

_BESIDE_STEPS = SandboxMatcher(
    children={"asyncio": SandboxMatcher(use={name.removeprefix("asyncio.") for name in BESIDE_STEPS})}
)

_FAILURE_BYTES = 64 * 1024
"""The most bytes of a failed task; Temporal does not take megabytes, and would try again in silence."""
_TEXT_LENGTH = 4_000


def saga_runner(guard: Guard | None = None) -> SandboxedWorkflowRunner:
    """Return the sandbox of sagas: their own modules are loaded for each workflow, and restricted.

    Args:
        guard: Notes which saga is under way; None: nobody does.
    """
    restrictions = SandboxRestrictions.default.with_passthrough_modules(*_SHARED)
    restrictions = replace(
        restrictions, invalid_module_members=restrictions.invalid_module_members | _BESIDE_STEPS
    )
    silent = SandboxImportNotificationPolicy.SILENT
    return _SagaRunner(restrictions.with_import_notification_policy(silent), guard or Guard())


class _SagaRunner(SandboxedWorkflowRunner):
    """A runner whose workflows are not asked about each of their payloads.

    The SDK asks an instance, within its sandbox, for the context in which to convert every payload.
    The platform has no codec and no external store, and its converter is told by other means; the
    question took a fifth of the time of a process that runs sagas.
    """

    def __init__(self, restrictions: SandboxRestrictions, guard: Guard) -> None:
        super().__init__(restrictions=restrictions)
        self._guard = guard
        self._loop: asyncio.AbstractEventLoop | None = None
        with suppress(RuntimeError):
            self._loop = asyncio.get_running_loop()

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        """Create a workflow in a sandbox of its own."""
        piece = UnderWay("saga", det.info.workflow_type, "", det.info.workflow_id)
        return _SagaInstance(super().create_instance(det), det.info, self._guard, piece, self._survived)

    def _survived(self, piece: UnderWay) -> None:
        """Forget the losses of a saga, from the thread in which its code ran."""
        if self._loop is not None:
            asyncio.run_coroutine_threadsafe(self._guard.doubts.survived([piece]), self._loop)


class _SagaInstance(ClockedInstance):
    """A sandboxed workflow whose payloads need no context, and whose code does no harm to its worker.

    The SDK abandons a task that takes two seconds, the time that it waits for a thread or for other
    threads included: it interrupts the thread, and drops the workflow without waiting for it.
    """

    def __init__(
        self,
        sandboxed: WorkflowInstance,
        info: Info,
        guard: Guard,
        piece: UnderWay,
        survived: Callable[[UnderWay], None],
    ) -> None:
        super().__init__(sandboxed, info, judges=True)
        self._guard = guard
        self._piece = piece
        self._survived = survived
        self._activating = threading.Lock()

    def activate(self, act: Any) -> Any:
        """Continue in the sandbox once an abandoned task has ended: two at once would both hang."""
        doubts, ends = self._guard.doubts, any(job.HasField("remove_from_cache") for job in act.jobs)
        if doubts.condemned(self._piece) and not ends:
            raise RuntimeError(str(Poison.of_losses()))
        with self._activating:
            watch = self._guard.thread_watch()
            watch.enter(self._piece.note)
            try:
                completion = super().activate(act)
            except (SystemExit, KeyboardInterrupt) as error:
                # In the worker's event loop they would end the process, and the next one as well.
                raise RuntimeError(f"its code raised {type(error).__name__}") from error
            finally:
                watch.leave()
        if doubts.losses(self._piece) and not ends:
            self._survived(self._piece)
        if completion.HasField("failed") and completion.failed.ByteSize() > _FAILURE_BYTES:
            _shorten(completion.failed.failure)
        return completion

    def get_thread_id(self) -> int | None:
        """Return the thread that may be interrupted when its task takes too long.

        None while it imports: an exception in the middle of an import leaves the module's lock taken,
        and no saga that loads the module would ever continue in this process. So the SDK waits for the
        import.
        """
        thread = super().get_thread_id()
        return None if thread is None or _imports(thread) else thread


def _shorten(failure: Any) -> None:
    failure.message = failure.message[:_TEXT_LENGTH]
    failure.stack_trace = failure.stack_trace[:_TEXT_LENGTH]
    if failure.HasField("cause"):
        _shorten(failure.cause)


def _imports(thread: int) -> bool:
    """Return whether a thread is within an import."""
    frame = sys._current_frames().get(thread)
    while frame is not None:
        if frame.f_code.co_filename == _IMPORTING:
            return True
        frame = frame.f_back
    return False
