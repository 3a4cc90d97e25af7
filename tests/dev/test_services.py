"""PostgreSQL and Temporal as real processes of this machine."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import asyncpg
import pytest
from intent.dev.services import (
    ManagedProcess,
    PortTaken,
    Postgres,
    ServiceFailed,
    TemporalServer,
    require_free,
)
from intent.dev.services import temporal as temporal_module
from intent.dev.services.account import closed_folder
from intent.process.sockets import free_ports
from intent.temporal import SEARCH_ATTRIBUTES
from temporalio.client import Client, WorkflowExecutionStatus

_ORPHANS = """
import sys, time
from pathlib import Path
from intent.dev.services import Postgres, TemporalServer
folder = Path(sys.argv[1])
postgres = Postgres(folder / "data", durable=False).start()
temporal = TemporalServer(log=folder / "temporal.log").start()
print(postgres.pid, temporal.pid, flush=True)
time.sleep(600)
"""


async def _scalar(dsn: str, statement: str) -> object:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


def _owner(pid: int) -> int:
    return Path(f"/proc/{pid}").stat().st_uid


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes() != b""
    except OSError:
        return False


def _wait_until_gone(pids: list[int], seconds: float) -> list[int]:
    end = time.monotonic() + seconds
    while any(map(_lives, pids)) and time.monotonic() < end:
        time.sleep(0.05)
    return [pid for pid in pids if _lives(pid)]


async def test_postgres_keeps_its_data_over_stop_and_crash(open_folder: Path) -> None:
    with Postgres(open_folder / "data", settings={"fsync": "off"}) as server:
        await _scalar(server.dsn, "create table kept as select 1 as one")
        server.kill()
        assert not server.alive
        server.restart()
        assert await _scalar(server.dsn, "select one from kept") == 1
        server.stop()
        server.start()
        assert await _scalar(server.dsn, "select one from kept") == 1
    assert server.pid is None


async def test_postgres_asks_for_its_password(open_folder: Path) -> None:
    with Postgres(open_folder / "data", durable=False, password="right") as server:
        with pytest.raises(asyncpg.InvalidPasswordError):
            await _scalar(server.dsn_for("postgres", "wrong"), "select 1")
        assert await _scalar(server.dsn, "select current_database()") == "intent"


def test_postgres_says_which_port_is_taken(open_folder: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(PortTaken, match=f"port {port}, needed for PostgreSQL, is taken"):
            Postgres(open_folder / "data", port=port).start()


def test_postgres_that_does_not_start_says_why(open_folder: Path) -> None:
    with pytest.raises(ServiceFailed, match=r"PostgreSQL did not start: .*max_connections"):
        Postgres(open_folder / "data", settings={"max_connections": "0"}).start()


def test_a_second_postgres_on_the_same_data_is_refused(
    open_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("intent.dev.services.postgres._LEFTOVER_TIMEOUT", 0.1)
    with (
        Postgres(open_folder / "data", durable=False) as first,
        pytest.raises(ServiceFailed, match=f"already runs on .*, with pid {first.pid}"),
    ):
        Postgres(open_folder / "data", durable=False).start()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to change its user")
async def test_postgres_works_for_root_in_a_folder_that_is_closed_to_others(open_folder: Path) -> None:
    closed = open_folder / "closed"
    closed.mkdir(mode=0o700)
    with Postgres(closed / "data", durable=False) as server:
        assert await _scalar(server.dsn, "select 1") == 1
        assert server.pid is not None
        assert _owner(server.pid) != 0


def test_a_folder_that_another_user_may_not_enter_is_found(open_folder: Path) -> None:
    closed = open_folder / "closed"
    closed.mkdir(mode=0o700)
    another = os.geteuid() + 12345
    assert closed_folder([open_folder, closed / "data"], another) == closed
    assert closed_folder([open_folder], another) is None
    assert closed_folder([closed], os.geteuid()) is None


def test_temporal_starts_with_the_search_attributes_and_restarts(open_folder: Path) -> None:
    database = open_folder / "temporal.db"
    with TemporalServer(log=open_folder / "log", database=database, ui=True) as server:
        address, ui = server.address, server.ui_url
        server.restart()
        assert server.alive
        assert (server.address, server.ui_url) == (address, ui)
    assert database.stat().st_size > 0


async def test_temporal_knows_after_a_kill_what_it_confirmed_before(open_folder: Path) -> None:
    with TemporalServer(log=open_folder / "log", database=open_folder / "temporal.db") as server:
        client = await Client.connect(server.address)
        handles = [await client.start_workflow("Any", id=f"w-{n}", task_queue="none") for n in range(20)]
        server.kill()
        server.start()
        client = await Client.connect(server.address)
        for handle in handles:
            described = await client.get_workflow_handle(handle.id).describe()
            assert described.status == WorkflowExecutionStatus.RUNNING


def test_temporal_adds_search_attributes_to_a_database_of_an_older_version(
    open_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = open_folder / "temporal.db"
    older = {name: kind for name, kind in SEARCH_ATTRIBUTES.items() if "Saga" not in name}
    with monkeypatch.context() as patched:
        patched.setattr(temporal_module, "SEARCH_ATTRIBUTES", older)
        TemporalServer(log=open_folder / "log", database=database).start().stop()
    with TemporalServer(log=open_folder / "log", database=database) as server:
        assert server.alive


def test_temporal_that_does_not_start_says_why(open_folder: Path) -> None:
    unusable = open_folder / "a-folder"
    unusable.mkdir()
    with pytest.raises(ServiceFailed, match=r"Temporal did not start: .*database"):
        TemporalServer(log=open_folder / "log", database=unusable).start()


@pytest.mark.parametrize("mode", [0o755, 0o700])
def test_nothing_outlives_a_killed_parent(open_folder: Path, mode: int) -> None:
    open_folder.chmod(mode)
    parent = subprocess.Popen(
        [sys.executable, "-c", _ORPHANS, str(open_folder)], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    pids = [int(pid) for pid in parent.stdout.readline().split()]
    assert len(pids) == 2
    parent.kill()
    parent.communicate()
    assert _wait_until_gone(pids, 30) == []


def test_a_process_that_ignores_the_signal_is_killed(tmp_path: Path) -> None:
    code = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); "
        "time.sleep(600)"
    )
    log = tmp_path / "log"
    process = ManagedProcess("stubborn", [sys.executable, "-c", code], log, grace=0.2)
    process.start()
    process.wait_until(lambda: log.read_text().startswith("up"), 30)
    process.stop()
    assert process.exit_code == -signal.SIGKILL


def test_a_program_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(ServiceFailed, match="the program /no-such-program is not installed"):
        ManagedProcess("ghost", ["/no-such-program"], tmp_path / "log").start()


def test_free_ports_differ_and_are_free() -> None:
    ports = free_ports(20)
    assert len(set(ports)) == 20
    for port in ports:
        require_free(port, "the test")
