"""The memory of a simulated system: a SQLite file that processes share and that outlives them."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

__all__ = ["Ledger"]

_LONGEST_WAIT: Final = 30.0
"""How long, in seconds, a transaction waits for those of other processes."""
_ATTEMPTS: Final = "CREATE TABLE IF NOT EXISTS attempts (key TEXT PRIMARY KEY, made INTEGER NOT NULL)"
_ATTEMPT: Final = (
    "INSERT INTO attempts VALUES (?, 1) ON CONFLICT (key) DO UPDATE SET made = made + 1 RETURNING made"
)


class Ledger:
    """A SQLite file, created on first use.

    What a transaction has committed survives the death of the process, even by SIGKILL. All
    methods may be called from any thread.

    Args:
        path: The file; its folder is created too.
        schema: Statements that create the tables, each with ``IF NOT EXISTS``.
    """

    def __init__(self, path: Path, schema: str) -> None:
        self._path = path
        self._schema = schema
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Run a block as one transaction; those of all processes run one after another.

        Raises:
            sqlite3.Error: The file cannot be used.
        """
        with self._lock:
            connection = self._connection = self._connection or self._open()
            connection.execute("BEGIN IMMEDIATE")
            with connection:
                yield connection

    def attempt(self, transaction: sqlite3.Connection, key: str) -> int:
        """Count an attempt under a key, and return its number, from 1 up."""
        (number,) = transaction.execute(_ATTEMPT, (key,)).fetchone()
        return int(number)

    def close(self) -> None:
        """Close the file until it is used again."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _open(self) -> sqlite3.Connection:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(
            self._path, timeout=_LONGEST_WAIT, isolation_level=None, check_same_thread=False
        )
        try:
            connection.row_factory = sqlite3.Row
            # The kernel keeps what was written when the process dies; only a power cut could lose some of it.
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.executescript(f"{_ATTEMPTS}; {self._schema}")
        except BaseException:
            connection.close()
            raise
        return connection
