"""What `intent dev` leaves on a machine with other users: nothing that they read, or have it write."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import asyncpg
import pytest
from intent.dev import DevLayout, DevState
from intent.dev.keys import DevKeys
from intent.dev.passwords import DevPasswords, renew_administrator
from intent.dev.services import ManagedProcess, Postgres, TemporalServer
from intent.dev.services.account import Account, service_account
from intent.dev.services.files import open_log, private_folder, read_secret, write_secret
from intent.dev.stack import DevStack
from intent.errors import ConfigurationError
from intent.settings.config import load_settings
from intent.temporal.signing import KeyRing

NOBODY = 65534
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root writes where others can")


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o7777


def as_nobody(statement: str) -> int:
    """Run a statement of Python as another user; 0: it worked."""
    code = f"import os; os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY}); {statement}"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode


@as_root
def test_nobody_else_reads_the_folder_of_an_installation(open_folder: Path) -> None:
    folder = open_folder / "data"
    (folder / "logs").mkdir(parents=True)
    old = [folder / "temporal.db", folder / "logs" / "temporal.log"]
    for path in old:
        path.write_text("tok_visa")
    assert as_nobody(f"open('{old[0]}')") == 0

    private_folder(folder)
    assert [mode(path) for path in (folder, *old)] == [0o700, 0o600, 0o600]
    assert as_nobody(f"open('{old[0]}')") != 0

    private_folder(folder, Account("nobody", NOBODY, NOBODY))
    assert mode(folder) == 0o710
    assert as_nobody(f"os.listdir('{folder}')") != 0
    assert as_nobody(f"os.stat('{folder}/logs')") == 0


@as_root
def test_root_refuses_a_folder_that_another_user_may_write(open_folder: Path) -> None:
    theirs, shared = open_folder / "theirs", open_folder / "shared"
    for folder in (theirs, shared):
        folder.mkdir()
    os.chown(theirs, NOBODY, NOBODY)
    shared.chmod(0o1777)
    for folder in (theirs, theirs / ".dev", shared):
        with pytest.raises(ConfigurationError, match=r"another user may write .*--data"):
            private_folder(folder)
        with pytest.raises(ConfigurationError, match=f"another user may write {theirs}|{shared}"):
            Postgres(folder / "data").start()
    with pytest.raises(ConfigurationError, match="another user may write"):
        DevStack(DevLayout.of(theirs / ".dev", ["orders"], 0))
    private_folder(shared / ".dev")


@pytest.mark.parametrize(
    "write",
    [
        open_log,
        lambda path: ManagedProcess("a process", ["true"], path).start(),
        lambda path: TemporalServer(log=path).start(),
    ],
)
def test_no_link_is_followed_to_write_a_log(tmp_path: Path, write: Callable[[Path], object]) -> None:
    precious, log = tmp_path / "precious", tmp_path / "log"
    precious.write_text("precious")
    log.symlink_to(precious)
    with pytest.raises(ConfigurationError, match="symbolic link"):
        write(log)
    log.unlink()
    os.link(precious, log)
    with pytest.raises(ConfigurationError, match="remove it"):
        write(log)
    assert precious.read_text() == "precious"


def test_no_link_is_followed_to_write_a_secret(tmp_path: Path) -> None:
    precious, secret = tmp_path / "precious", tmp_path / "secret"
    precious.write_text("precious")
    secret.symlink_to(precious)
    with pytest.raises(ConfigurationError, match="symbolic link"):
        read_secret(secret)
    write_secret(secret, "s")
    assert (precious.read_text(), read_secret(secret), mode(secret)) == ("precious", "s", 0o600)
    (tmp_path / "state.new").symlink_to(precious)
    DevState(os.getpid(), "", "", "postgresql://x").write(tmp_path)
    assert precious.read_text() == "precious"


def test_the_password_file_of_a_new_server_follows_no_link(open_folder: Path) -> None:
    precious = open_folder / "precious"
    precious.write_text("precious")
    (open_folder / "data.pw").symlink_to(precious)
    with Postgres(open_folder / "data", durable=False):
        assert precious.read_text() == "precious"
        assert precious.stat().st_uid == os.geteuid()


def test_what_a_process_creates_its_owner_alone_reads(tmp_path: Path) -> None:
    made = tmp_path / "made"
    process = ManagedProcess("a process", ["touch", str(made)], tmp_path / "log")
    process.start()
    process.wait_for_end(60)
    assert (mode(made), mode(tmp_path / "log")) == (0o600, 0o600)


def test_passwords_are_random_kept_and_different_for_each_role(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    one, two = (DevPasswords.of(tmp_path / name) for name in ("one", "two"))
    assert DevPasswords.of(tmp_path / "one") == one
    found = [passwords.for_role(role) for passwords in (one, two) for role in ("postgres", "orders_query")]
    assert len(set(found)) == 4
    assert one.secret not in repr(one)


async def test_the_known_password_of_an_older_installation_is_replaced(open_folder: Path) -> None:
    private_folder(open_folder, service_account(open_folder / "data"))
    with Postgres(open_folder / "data", durable=False, password="intent") as server:
        new = server.dsn_for("postgres", "new")
        for _ in range(2):
            await renew_administrator(new, "new")
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(server.dsn_for("postgres", "intent"))
        await (await asyncpg.connect(new)).close()
        with pytest.raises(ConfigurationError, match="bring the file back"):
            await renew_administrator(server.dsn_for("postgres", "other"), "other")


def test_an_installation_makes_its_key_for_temporal_once(open_folder: Path) -> None:
    settings = DevKeys.of(open_folder).settings
    assert DevKeys.of(open_folder).settings == settings
    folder = Path(settings["INTENT_TEMPORAL_KEYS"])
    assert [mode(folder), *map(mode, folder.iterdir())] == [0o700, 0o600]
    assert KeyRing(folder).signer().name == "dev"
    # What began before there was a key goes on.
    ((since, until),) = load_settings(
        temporal_keys=str(folder), temporal_unsigned_until=settings["INTENT_TEMPORAL_UNSIGNED_UNTIL"]
    ).temporal_unsigned_until
    assert since is None
    assert until.timestamp() == pytest.approx((folder / "dev").stat().st_mtime, abs=1e-3)
