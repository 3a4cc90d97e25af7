"""Every recorded history replays with the current code of its workflow."""

from __future__ import annotations

import dataclasses
from datetime import UTC, timedelta
from pathlib import Path

import pytest
from intent.commands import ProcessCommands
from intent.contracts import Registry, snake_case
from intent.model import load_context
from intent.saga_host import SagaWorkflow, register_sagas, saga_runner
from intent.saga_host import types as saga_types
from intent.saga_host.types import saga_type
from intent.settings.signing import Window
from intent.temporal import data_converter
from intent.temporal.signing import ClockedRunner, KeyRing, Signing, signed_converter
from temporalio.client import WorkflowHistory
from temporalio.converter import DataConverter
from temporalio.exceptions import FailureError
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner
from temporalio.workflow import NondeterminismError

_FULFIL = "orders.v1.FulfilOrder"
HISTORIES = sorted((Path(__file__).parent / "histories").glob("*.json"))


def test_there_are_histories() -> None:
    assert HISTORIES


@pytest.fixture(params=HISTORIES, ids=lambda file: file.stem)
def history(request: pytest.FixtureRequest) -> WorkflowHistory:
    file: Path = request.param
    return WorkflowHistory.from_json(file.stem, file.read_text())


@pytest.fixture(scope="module", autouse=True)
def known() -> None:
    """The sagas of every context."""
    for name in ("inventory", "orders", "payments", "shipping"):
        register_sagas(load_context(name).bind(Registry.load()))


async def test_a_recorded_history_replays(history: WorkflowHistory, monkeypatch: pytest.MonkeyPatch) -> None:
    await _replay(history, monkeypatch)


async def test_histories_of_before_there_were_keys_replay_with_keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "key").write_text("k" * 32)
    for prefix in ("saga_fulfil_order_delivered", "process_commands_mixed"):
        file = next(file for file in HISTORIES if file.stem.startswith(prefix))
        history = WorkflowHistory.from_json(file.stem, file.read_text())
        later = history.events[-1].event_time.ToDatetime(UTC) + timedelta(seconds=1)
        keys = KeyRing(tmp_path)
        await _replay(history, monkeypatch, signed_converter(Signing(keys, [Window(None, later)])))
        with pytest.raises((RuntimeError, FailureError, NondeterminismError)):
            await _replay(history, monkeypatch, signed_converter(Signing(keys)))


async def test_an_outcome_of_another_command_of_the_saga_is_not_believed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    file = next(file for file in HISTORIES if file.stem.startswith("saga_fulfil_order_delivered"))
    history = WorkflowHistory.from_json(file.stem, file.read_text())
    marked = [
        event.marker_recorded_event_attributes.details
        for event in history.events
        if event.HasField("marker_recorded_event_attributes")
    ]
    first, second = (details["result"] for details in marked[:2])
    second.CopyFrom(first)
    with pytest.raises(RuntimeError, match="the outcome of the command"):
        await _replay(history, monkeypatch)


async def _replay(
    history: WorkflowHistory, monkeypatch: pytest.MonkeyPatch, converter: DataConverter = data_converter
) -> None:
    kind, _, rest = history.workflow_id.partition("_")
    if kind == "example":
        name = rest.partition("_")[0]
        example = dataclasses.replace(saga_type(_FULFIL), module="tests.sagas.saga_examples", name=name)
        monkeypatch.setitem(saga_types._types, _FULFIL, example)
    saga = kind in ("saga", "example")
    replayer = Replayer(
        workflows=[SagaWorkflow] if saga else [ProcessCommands],
        data_converter=converter,
        workflow_runner=saga_runner() if saga else ClockedRunner(UnsandboxedWorkflowRunner()),
    )
    await replayer.replay_workflow(_under_its_id(history))


def _under_its_id(history: WorkflowHistory) -> WorkflowHistory:
    """Return a history of a saga with the id of its workflow, from which its commands' ids follow."""
    started = history.events[0].workflow_execution_started_event_attributes
    return dataclasses.replace(history, workflow_id=started.workflow_id or history.workflow_id)


def test_every_saga_has_a_history() -> None:
    recorded = {file.stem for file in HISTORIES}
    for name in ("inventory", "orders", "payments", "shipping"):
        for type_ in load_context(name).bind(Registry.load()).sagas:
            prefix = f"saga_{snake_case(type_.rpartition('.')[2])}_"
            assert any(stem.startswith(prefix) for stem in recorded), f"record a history of {type_}"
