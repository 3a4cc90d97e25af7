"""Real PostgreSQL, and a context's real command path, for every test that asks for them."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Generator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from intent.dev.services import Postgres
from intent.store.postgres import PostgresEventStore

from .support.command_path import bound, path, request_of, running, settings, temporal
from .support.databases import Database, create_database, drop_database, prepare
from .support.in_memory import temporary_files_in_memory

__all__ = ["bound", "path", "request_of", "running", "settings", "temporal"]

CONTEXT = "orders"
# The many processes of tests keep what they compile, as under make.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
_RUN = ExitStack()


def pytest_configure() -> None:
    """Keep the data of servers in memory, and let SIGINT end what tests start."""
    # What a script runs in its background ignores SIGINT, and so does what that starts.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    _RUN.enter_context(temporary_files_in_memory())


def pytest_unconfigure() -> None:
    """Remove the data of servers."""
    _RUN.close()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Deal out the tests, where whole files are asked for."""
    from .support.dealing import Dealing

    return Dealing(config, log) if config.getvalue("dist") == "loadfile" else None


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL server of its own for this run; nothing of it is left behind."""
    # Not pytest's own folder: that one is closed to other users, as whom the server runs under root.
    with tempfile.TemporaryDirectory(prefix="intent-tests-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        with Postgres(Path(folder) / "data", durable=False) as server:
            yield server


@pytest_asyncio.fixture(scope="session")
async def template(postgres: Postgres) -> str:
    """The name of a database with the migrated schema of `orders`, to be copied."""
    name = await create_database(postgres)
    await prepare(Database.of(postgres, name, CONTEXT))
    return name


@pytest_asyncio.fixture
async def database(postgres: Postgres, template: str) -> AsyncIterator[Database]:
    """A fresh database with the schema of the context `orders`: the platform's tables, all empty."""
    name = await create_database(postgres, template)
    yield Database.of(postgres, name, CONTEXT)
    await drop_database(postgres, name)


@pytest_asyncio.fixture
async def postgres_store(database: Database) -> AsyncIterator[PostgresEventStore]:
    """The event store of `database`, as the service role."""
    store = await PostgresEventStore.open(database.service, database.context)
    yield store
    await store.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let what a test has logged pass between processes, which half a surrogate pair cannot."""
    report = yield
    report.sections = [
        (name, text.encode(errors="backslashreplace").decode()) for name, text in report.sections
    ]
    return report


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user may enter, such as PostgreSQL's own; pytest's are closed to others."""
    folder = Path(tempfile.mkdtemp(prefix="intent-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)
