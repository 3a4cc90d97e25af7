"""Traces of workflows and activities, recorded around them and never inside workflow code."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Final

from intent_contracts.intent.v1 import CommandBatch, CommandEnvelope
from temporalio import activity
from temporalio.client import Interceptor as ClientInterceptor
from temporalio.client import OutboundInterceptor, StartWorkflowInput, WorkflowHandle
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput
from temporalio.worker import Interceptor as WorkerInterceptor

from intent.origin import TraceContext

__all__ = ["TracingInterceptor"]

_REMEMBERED: Final = 1000

Step = Callable[..., AbstractContextManager[None]]


class TracingInterceptor(ClientInterceptor, WorkerInterceptor):
    """Interceptor that records the start of workflows and every activity, in the traces of their commands.

    The traces of a workflow are remembered in this process, by its id, for activities whose
    input contains no commands.

    Args:
        step: Records a step, like `Tracing.step`.
        current: Returns the trace contexts of the running step's spans.
    """

    def __init__(self, step: Step, current: Callable[[], Sequence[TraceContext]]) -> None:
        self.step = step
        self.current = current
        self._traces: OrderedDict[str, Sequence[TraceContext]] = OrderedDict()

    def intercept_client(self, next: OutboundInterceptor) -> OutboundInterceptor:  # noqa: A002
        """Return the interceptor that records the start of workflows."""
        return _Client(next, self)

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002
        """Return the interceptor that records activities."""
        return _Activity(next, self)

    def remember(self, workflow_id: str, traces: Sequence[TraceContext]) -> None:
        """Remember the traces of a workflow's commands."""
        self._traces[workflow_id] = traces
        self._traces.move_to_end(workflow_id)
        while len(self._traces) > _REMEMBERED:
            self._traces.popitem(last=False)

    def traces(self, workflow_id: str, args: Sequence[Any]) -> Sequence[TraceContext]:
        """Return the traces in which an activity runs."""
        return self._traces.get(workflow_id) or list(_trace_contexts(args))


class _Client(OutboundInterceptor):
    def __init__(self, next_: OutboundInterceptor, tracing: TracingInterceptor) -> None:
        super().__init__(next_)
        self._tracing = tracing

    async def start_workflow(self, input: StartWorkflowInput) -> WorkflowHandle[Any, Any]:  # noqa: A002
        """Start a workflow in the traces of its commands."""
        facts = {"temporal.workflow.type": input.workflow, "temporal.workflow.id": input.id}
        with self._tracing.step(f"StartWorkflow {input.workflow}", _trace_contexts(input.args), facts):
            self._tracing.remember(input.id, self._tracing.current())
            return await super().start_workflow(input)


class _Activity(ActivityInboundInterceptor):
    def __init__(self, next_: ActivityInboundInterceptor, tracing: TracingInterceptor) -> None:
        super().__init__(next_)
        self._tracing = tracing

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002
        """Run an activity in the traces of its workflow."""
        info = activity.info()
        workflow_id = info.workflow_id or ""
        facts = {
            "temporal.activity.type": info.activity_type,
            "temporal.activity.attempt": info.attempt,
            "temporal.workflow.id": workflow_id,
        }
        parents = self._tracing.traces(workflow_id, input.args)
        with self._tracing.step(f"Activity {info.activity_type}", parents, facts):
            return await super().execute_activity(input)


def _trace_contexts(args: Iterable[Any]) -> Iterable[TraceContext]:
    """Yield the trace contexts of the commands in an input."""
    for arg in args:
        if isinstance(arg, CommandBatch):
            yield from map(TraceContext.of, arg.commands)
        elif isinstance(arg, CommandEnvelope):
            yield TraceContext.of(arg)
