"""Format times and sagas for a person."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp
from intent_contracts.intent.v1 import (
    GetSagaResponse,
    SagaProblem,
    SagaStatus,
    SagaStep,
    SagaStepKind,
    SagaStepStatus,
)
from rich.tree import Tree

from intent.cli.output import markup, open_console

__all__ = [
    "format_duration",
    "format_time",
    "print_tree",
    "problem_text",
    "saga_line",
    "seconds_between",
    "status_text",
    "step_line",
]

_NO_WRAP: Final = 10_000
_UNITS: Final = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))
_VERBS: Final[dict[int, str]] = {
    SagaStepKind.SAGA_STEP_KIND_EVENT: "wait for ",
    SagaStepKind.SAGA_STEP_KIND_SLEEP: "sleep ",
    SagaStepKind.SAGA_STEP_KIND_CALL: "call ",
    SagaStepKind.SAGA_STEP_KIND_CHILD: "saga ",
}
_COLOURS: Final = {
    "running": "cyan",
    "waiting": "cyan",
    "unstarted": "cyan",
    "done": "green",
    "completed": "green",
    "compensating": "yellow",
    "compensated": "yellow",
    "delayed": "yellow",
    "interrupted": "yellow",
    "skipped": "yellow",
    "timed out": "yellow",
    "rejected": "red",
    "stuck": "bold red",
    "failing": "bold red",
    "parked": "bold red",
    "failed": "bold red",
}


def format_duration(seconds: float) -> str:
    """Return a length of time in one or two units, e.g. ``12 ms``, ``1.25 s`` or ``2 h 3 min``."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.2f} s"
    whole = round(seconds)
    index = next(index for index, (size, _) in enumerate(_UNITS) if whole >= size)
    (large, large_name), (small, small_name) = _UNITS[index], _UNITS[min(index + 1, len(_UNITS) - 1)]
    text, remainder = f"{whole // large} {large_name}", whole % large // small
    return f"{text} {remainder} {small_name}" if remainder else text


def format_time(when: datetime) -> str:
    """Return a moment with milliseconds, in the time zone that it has (events: UTC)."""
    return when.strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]


def seconds_between(begin: Timestamp, end: Timestamp) -> float:
    """Return the seconds from one moment to another."""
    return (end.ToNanoseconds() - begin.ToNanoseconds()) / 1e9


def print_tree(tree: Tree) -> None:
    """Print a tree: in a terminal wrapped at its width, else with whole lines, for programs."""
    console = open_console(highlight=False)
    if not console.is_terminal:
        console.width = _NO_WRAP
    console.print(tree)


def status_text(status: SagaStatus.ValueType) -> str:
    """Return the status of a saga as a coloured word."""
    return _coloured(SagaStatus.Name(status).removeprefix("SAGA_STATUS_"))


def problem_text(problem: SagaProblem) -> str:
    """Return why a saga's code fails, where, and how often it was tried."""
    place = f" in {problem.place}" if problem.place else ""
    return f"{problem.error}{place} (attempt {problem.attempt})"


def saga_line(response: GetSagaResponse) -> str:
    """Return a saga in one line: its type and correlation, its status and why it failed."""
    info, report = response.saga, response.report
    why = ": ".join(filter(None, (report.failure_reason, report.failure_detail)))
    if info.HasField("problem"):
        why = problem_text(info.problem)
    name = f"[bold magenta]{markup(info.type.rpartition('.')[2])} {markup(info.correlation)}[/bold magenta]"
    return f"{name} {status_text(info.status)}" + (f" [dim]({markup(why)})[/dim]" if why else "")


def step_line(step: SagaStep) -> str:
    """Return a step in one line: its path, what it does, its status and the reason for it."""
    status = _coloured(SagaStepStatus.Name(step.status).removeprefix("SAGA_STEP_STATUS_"))
    parts = [f"[dim]{markup(step.path)}[/dim] {_what(step)} {status}"]
    if step.HasField("ended_at") and step.HasField("started_at"):
        parts.append(f"in {format_duration(seconds_between(step.started_at, step.ended_at))}")
    if step.attempts > 1:
        parts.append(f"tried {step.attempts} times")
    if step.HasField("delayed_since"):
        parts.append(f"held up since {format_time(step.delayed_since.ToDatetime())} UTC")
    why = ": ".join(filter(None, (step.reason, step.detail)))
    return ", ".join(parts) + (f" [dim]({markup(why)})[/dim]" if why else "")


def _what(step: SagaStep) -> str:
    """Return what a step does; the events that it waits for are without their contexts."""
    verb = _VERBS.get(step.kind, "")
    names = step.name.split(", ")
    if step.kind == SagaStepKind.SAGA_STEP_KIND_EVENT:
        names = [name.rpartition(".")[2] for name in names]
    return f"{verb}[bold]{markup(' or '.join(names))}[/bold]"


def _coloured(name: str) -> str:
    word = name.lower().replace("_", " ")
    colour = _COLOURS.get(word)
    return f"[{colour}]{word}[/{colour}]" if colour else word
