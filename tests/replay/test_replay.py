"""Every recorded history of a workflow replays with the workflow as it is now."""

from __future__ import annotations

from pathlib import Path

import pytest
from intent.workflows import ProcessCommands, data_converter
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner

HISTORIES = sorted((Path(__file__).parent / "histories").glob("*.json"))


def test_there_are_histories() -> None:
    assert HISTORIES


@pytest.fixture(params=HISTORIES, ids=lambda file: file.stem)
def history(request: pytest.FixtureRequest) -> WorkflowHistory:
    file: Path = request.param
    return WorkflowHistory.from_json(file.stem, file.read_text())


async def test_a_recorded_history_replays(history: WorkflowHistory) -> None:
    replayer = Replayer(
        workflows=[ProcessCommands],
        data_converter=data_converter,
        workflow_runner=UnsandboxedWorkflowRunner(),
    )
    await replayer.replay_workflow(history)
