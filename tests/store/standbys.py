"""A PostgreSQL server with a synchronous standby that can be stalled, killed and promoted."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import asyncpg
from intent.dev.services import Postgres
from intent.dev.services.account import service_account
from intent.dev.services.process import launched
from intent.dev.services.programs import postgres_programs

from ..support.databases import administer

_NAME = "standby"
_UNSAFE = {"fsync": "off"}
"""No power fails in a test; replication is what is tested."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A server and its standby.

    Attributes:
        primary: The server, which commits only what the standby has.
        standby: The standby.
    """

    primary: Postgres
    standby: Postgres

    def stall(self) -> None:
        """Stop the standby's processes where they are, as a host that hangs does."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let the standby continue."""
        self._signal(signal.SIGCONT)

    async def synchronise(self) -> None:
        """Make the server wait for the standby at each commit."""
        await administer(self.primary.dsn, f"alter system set synchronous_standby_names = '{_NAME}'")
        await administer(self.primary.dsn, "select pg_reload_conf()")
        connection = await asyncpg.connect(self.primary.dsn)
        try:
            while await connection.fetchval("select sync_state from pg_stat_replication") != "sync":
                await connection.execute("select pg_sleep(0.02)")
        finally:
            await connection.close()

    async def part(self) -> None:
        """Let the server no longer wait for the standby."""
        await administer(self.primary.dsn, "alter system reset synchronous_standby_names")
        await administer(self.primary.dsn, "select pg_reload_conf()")

    async def caught_up(self) -> None:
        """Wait until the standby has applied everything that the server has written."""
        standby = await asyncpg.connect(self.standby.dsn)
        server = await asyncpg.connect(self.primary.dsn)
        try:
            written = await server.fetchval("select pg_current_wal_lsn()::text")
            behind = "select pg_last_wal_replay_lsn() < $1::text::pg_lsn"
            while await standby.fetchval(behind, written):
                await standby.execute("select pg_sleep(0.02)")
        finally:
            await standby.close()
            await server.close()

    async def promote(self) -> None:
        """Make the standby the server that writes, after the other one has died."""
        self.primary.kill()
        # All at once, so that none takes what the other server has still sent.
        self._signal(signal.SIGKILL)
        self.standby.kill()
        self.standby.restart()
        await administer(self.standby.dsn, "select pg_promote()")

    def _signal(self, signum: signal.Signals) -> None:
        leader = self.standby.pid
        assert leader is not None
        children = Path(f"/proc/{leader}/task/{leader}/children").read_text().split()
        for pid in (leader, *map(int, children)):
            with suppress(ProcessLookupError):  # A child may just have ended by itself.
                os.kill(pid, signum)


@contextmanager
def replicated() -> Iterator[Pair]:
    """Run a server with a standby; `Pair.synchronise` makes the server wait for it."""
    with tempfile.TemporaryDirectory(prefix="intent-tests-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        with (
            Postgres(Path(folder) / "primary", settings=_UNSAFE) as primary,
            standby_of(primary, Path(folder) / "standby") as pair,
        ):
            yield pair


@contextmanager
def standby_of(primary: Postgres, data: Path) -> Iterator[Pair]:
    """Run a standby of a server that runs; its data are in a folder that does not exist yet."""
    _copy(primary, data)
    with Postgres(data, settings=_UNSAFE) as standby:
        pair = Pair(primary, standby)
        try:
            yield pair
        finally:
            if standby.alive:
                pair.resume()


@contextmanager
def set_back(server: Postgres, copy: Path, lsn: str) -> Iterator[Postgres]:
    """Run what a server was at a point of its WAL, at its address: a backup, and WAL up to the point.

    Args:
        server: The server; it has ended.
        copy: A base backup of it from before the point.
        lsn: The point.
    """
    (copy / "standby.signal").unlink()
    (copy / "recovery.signal").touch()
    settings = {
        "restore_command": f"cp {server.data}/pg_wal/%f %p",
        "recovery_target_lsn": lsn,
        "recovery_target_action": "promote",
    }
    with Postgres(copy, port=server.port, settings={**_UNSAFE, **settings}) as restored:
        yield restored


def copied(primary: Postgres, data: Path) -> Path:
    """Make a base backup of a server that runs, in a folder that does not exist yet, and return that."""
    _copy(primary, data)
    return data


def _copy(primary: Postgres, data: Path) -> None:
    """Copy a server's data for a standby that follows it."""
    account = service_account(data)
    program = postgres_programs(None if account is None else account.uid) / "pg_basebackup"
    url = primary.dsn_for("postgres", primary.password) + f"?application_name={_NAME}"
    data.mkdir(mode=0o700)
    if account is not None:
        os.chown(data, account.uid, account.gid)
    command = [str(program), "-D", str(data), "-R", "-X", "stream", "-c", "fast", "--no-sync", "-d", url]
    subprocess.run(launched(command, account), cwd="/", check=True)
