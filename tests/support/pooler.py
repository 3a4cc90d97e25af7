"""A real PgBouncer in transaction mode before the server of a test."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from intent.dev.services import ManagedProcess, Postgres
from intent.dev.services.account import service_account
from intent.process.sockets import free_port

from .databases import Database

_SETTINGS = """
[databases]
* = host=127.0.0.1 port={server}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {users}
pool_mode = transaction
default_pool_size = {size}
max_db_connections = {size}
max_client_conn = 500
ignore_startup_parameters = {ignored}
"""


def no_pooler() -> str:
    """Return why there is no PgBouncer; empty when there is one."""
    return "" if _program() else "PgBouncer is not installed; no package of PyPI has it"


@dataclass(frozen=True, slots=True)
class Pooler:
    """A running PgBouncer.

    Attributes:
        port: Its port.
        process: Its process.
    """

    port: int
    process: ManagedProcess

    def before(self, dsn: str) -> str:
        """Return the URL that leads through it to the same database."""
        parts = urlsplit(dsn)
        return urlunsplit(parts._replace(netloc=f"{parts.username}:{parts.password}@127.0.0.1:{self.port}"))


@contextmanager
def pooler(
    postgres: Postgres, folder: Path, *databases: Database, size: int = 10, ignored: str = ""
) -> Iterator[Pooler]:
    """Run one for the roles of some databases.

    Args:
        postgres: The server.
        folder: A folder that every user may enter.
        databases: The databases.
        size: The most connections to the server.
        ignored: Start-up parameters that it takes without setting them.
    """
    port, users = free_port(), folder / "users.txt"
    urls = {urlsplit(dsn) for one in databases for dsn in (one.owner, one.service, one.query)}
    users.write_text("".join(f'"{url.username}" "{url.password}"\n' for url in urls))
    path = folder / "pgbouncer.ini"
    path.write_text(
        _SETTINGS.format(server=postgres.port, port=port, users=users, size=size, ignored=ignored)
    )
    account = service_account(folder / "data")
    process = ManagedProcess(
        "PgBouncer", [_program(), str(path)], folder / "pgbouncer.log", account=account, folder=Path("/")
    )
    process.start()
    try:
        process.wait_until(lambda: "process up" in process.log.read_text(), 20)
        yield Pooler(port, process)
    finally:
        process.stop()


def _program() -> str:
    return shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin:/usr/local/sbin") or ""
