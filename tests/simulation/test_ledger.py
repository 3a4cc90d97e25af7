"""A ledger is shared by processes and survives them."""

from __future__ import annotations

import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from intent.simulation import Ledger

SCHEMA = "CREATE TABLE IF NOT EXISTS sums (number INTEGER)"
COUNTING = f"""
import os, signal, sys
from pathlib import Path
from intent.simulation import Ledger
ledger = Ledger(Path(sys.argv[1]), {SCHEMA!r})
for _ in range(50):
    with ledger.transaction() as transaction:
        number = ledger.attempt(transaction, "key")
        transaction.execute("INSERT INTO sums VALUES (?)", (number,))
with ledger.transaction() as transaction:
    transaction.execute("INSERT INTO sums VALUES (-1)")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def _numbers(ledger: Ledger) -> list[int]:
    with ledger.transaction() as transaction:
        return [row["number"] for row in transaction.execute("SELECT number FROM sums ORDER BY rowid")]


def test_processes_share_it_and_what_they_committed_survives_their_being_killed(tmp_path: Path) -> None:
    path = tmp_path / "made" / "ledger.sqlite3"
    killed = [subprocess.Popen([sys.executable, "-c", COUNTING, str(path)]) for _ in range(3)]
    assert [process.wait(timeout=120) for process in killed] == [-signal.SIGKILL] * 3
    assert _numbers(Ledger(path, SCHEMA)) == list(range(1, 151))


def test_what_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite3", SCHEMA)

    def fail() -> None:
        with ledger.transaction() as transaction:
            transaction.execute("INSERT INTO sums VALUES (1)")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert _numbers(ledger) == []
    ledger.close()
    assert _numbers(ledger) == []


def test_threads_take_turns(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite3", SCHEMA)

    def count(_: int) -> int:
        with ledger.transaction() as transaction:
            return ledger.attempt(transaction, "key")

    with ThreadPoolExecutor(8) as threads:
        assert sorted(threads.map(count, range(100))) == list(range(1, 101))
