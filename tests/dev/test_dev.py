"""The layout of `intent dev`, and the state that it publishes for other commands."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from intent.dev import ContextAddress, DevLayout, DevState
from intent.dev.state import dev_folder
from intent.dev.supervision import LogTail
from intent.errors import ConfigurationError


def _state(pid: int) -> DevState:
    address = ContextAddress("127.0.0.1:7401", "http://127.0.0.1:7501/metrics", ("127.0.0.1:7434",))
    return DevState(pid, "127.0.0.1:7433", "http://127.0.0.1:7480", "postgresql://x", {"orders": address})


def test_ports_follow_from_the_base_and_the_names() -> None:
    layout = DevLayout.of(Path("data"), ["payments", "orders"], 8400)
    assert layout.contexts == {"orders": 8401, "payments": 8402}
    assert (layout.postgres, layout.temporal, layout.ui) == (8432, 8433, 8480)
    assert layout.metrics == {"orders": 8501, "payments": 8502}


def test_further_processes_of_a_context_have_ports_and_names_of_their_own() -> None:
    layout = DevLayout.of(Path("data"), ["payments", "orders"], 8400, {"orders": 3, "payments": 2})
    assert layout.contexts == {
        "orders": 8401,
        "payments": 8402,
        "orders-2": 8434,
        "orders-3": 8435,
        "payments-2": 8436,
    }
    assert layout.metrics["orders-2"] == 8534
    assert layout.processes == {
        "orders": ["orders", "orders-2", "orders-3"],
        "payments": ["payments", "payments-2"],
    }


def test_too_many_processes_for_the_ports_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="need free ports: use --port-base 0"):
        DevLayout.of(Path("data"), ["orders"], 8400, {"orders": 60})


def test_base_zero_takes_free_ports() -> None:
    layout = DevLayout.of(Path("data"), ["orders"], 0)
    layout.require_free()
    ports = {layout.postgres, layout.temporal, layout.ui, *layout.contexts.values(), *layout.metrics.values()}
    assert len(ports) == 5


@pytest.mark.parametrize("base", [-1, 80, 65535])
def test_a_base_out_of_range_is_refused(base: int) -> None:
    with pytest.raises(ConfigurationError, match="port base"):
        DevLayout.of(Path("data"), ["orders"], base)


def test_a_taken_port_is_named_with_the_way_out() -> None:
    layout = DevLayout.of(Path("data"), ["orders"], 0)
    with socket.socket() as other:
        other.bind(("127.0.0.1", layout.contexts["orders"]))
        other.listen()
        with pytest.raises(ConfigurationError) as caught:
            layout.require_free()
    assert f"port {layout.contexts['orders']}, needed for the context orders" in str(caught.value)
    assert "--port-base" in str(caught.value)


def test_the_state_is_read_by_others_while_its_process_lives(tmp_path: Path) -> None:
    state = _state(os.getpid())
    state.write(tmp_path)
    assert DevState.read(tmp_path) == state
    assert (tmp_path / "state.json").stat().st_mode & 0o077 == 0
    DevState.remove(tmp_path)
    assert DevState.read(tmp_path) is None


def test_the_state_of_a_dead_process_does_not_count(tmp_path: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    _state(gone.pid).write(tmp_path)
    assert DevState.read(tmp_path) is None


def test_a_state_that_is_no_state_does_not_count(tmp_path: Path) -> None:
    (tmp_path / "state.json").write_text('{"pid": 1}')
    assert DevState.read(tmp_path) is None


def test_the_folder_is_found_from_below(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("INTENT_DEV_DATA", raising=False)
    below = tmp_path / "contexts" / "orders"
    below.mkdir(parents=True)
    (tmp_path / ".dev").mkdir()
    _state(1).write(tmp_path / ".dev")
    assert dev_folder(below) == tmp_path / ".dev"
    monkeypatch.setenv("INTENT_DEV_DATA", str(tmp_path / "elsewhere"))
    assert dev_folder(below) == tmp_path / "elsewhere"


def test_a_log_is_read_line_by_line_as_it_grows(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("old\n")
    tail = LogTail(log)
    with log.open("a") as out:
        out.write("one\ntw")
        out.flush()
        assert tail.lines() == ["one"]
        out.write("o\n")
        out.flush()
        assert tail.lines() == ["two"]
    assert tail.lines() == []
