"""What a process was working on when it was killed is known to the next one, once."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest
from intent.errors import ConfigurationError, StoreUnavailable
from intent.guarding import MOST_LOSSES, Doubts, Journal, UnderWay, once_each, read_leftovers
from intent.guarding.doubts import key_of
from intent.store.postgres import PostgresDoubts, PostgresEventStore

from ..support.harm import MemoryDoubts

PIECE = UnderWay("command", "orders.v1.PlaceOrder", "acme", "0190a3f0-0000-7000-8000-000000000000")
OTHER = UnderWay("command", "orders.v1.PlaceOrder", "globex", PIECE.id)

DYING = """
import os, signal, sys
from pathlib import Path
from intent.guarding import Guard, Journal, UnderWay
def dies(watch):
    watch.enter(UnderWay("command", "a.Done", "acme", "1").note)
    watch.enter(NOTE)
    os.kill(os.getpid(), signal.SIGKILL)
Guard(journal=Journal.open(Path(sys.argv[1]), "orders")).inline(dies)
"""


def die(folder: Path, piece: UnderWay) -> None:
    """Let a process die of a piece of work."""
    script = DYING.replace("NOTE", repr(piece.note))
    assert subprocess.run([sys.executable, "-c", script, str(folder)], check=False).returncode == -9


def leftovers(folder: Path, name: str = "orders") -> list[bytes]:
    with read_leftovers(folder, name) as killed:
        return [note for notes in killed for note in notes]


def test_what_was_under_way_is_read_once(tmp_path: Path) -> None:
    die(tmp_path, PIECE)
    assert leftovers(tmp_path, "inventory") == []
    assert leftovers(tmp_path) == [PIECE.note]
    assert leftovers(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_it_stays_when_it_could_not_be_dealt_with(tmp_path: Path) -> None:
    die(tmp_path, PIECE)
    with pytest.raises(ConnectionError), read_leftovers(tmp_path, "orders"):
        raise ConnectionError
    assert leftovers(tmp_path) == [PIECE.note]


def test_a_process_that_lives_leaves_nothing(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path, "orders")
    slot = journal.slot()
    slot.begin(PIECE.note)
    assert leftovers(tmp_path) == []
    slot.end()
    journal.close()
    assert list(tmp_path.iterdir()) == []


def test_every_slot_is_read_and_more_do_no_harm(tmp_path: Path) -> None:
    script = (
        "import os, sys; from pathlib import Path; from intent.guarding import Journal\n"
        "journal = Journal.open(Path(sys.argv[1]), 'orders')\n"
        "[journal.slot().begin(f'{n}'.encode()) for n in range(70)]\n"
        "os._exit(1)"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False)
    assert len(leftovers(tmp_path)) == 64


def test_a_folder_that_others_can_write_to_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    with pytest.raises(ConfigurationError, match="INTENT_CRASH_FOLDER"):
        Journal.open(tmp_path, "orders")


@pytest.mark.parametrize("tenant", ["acme", "ä\n\t☃", "\ud800"])
def test_a_note_says_what_it_is_about(tenant: str) -> None:
    piece = PIECE._replace(tenant=tenant)
    noted = UnderWay.of_note(piece.note)
    assert noted is not None
    assert key_of(noted) == key_of(piece)


async def test_a_piece_is_condemned_after_three_losses() -> None:
    doubts = Doubts(MemoryDoubts())
    for losses in range(1, MOST_LOSSES + 1):
        assert not doubts.condemned(PIECE)
        await doubts.lost([PIECE.note])
        assert doubts.losses(PIECE) == losses
    assert doubts.condemned(PIECE)
    assert not doubts.losses(OTHER)


async def test_a_loss_that_was_noted_in_advance_counts_once() -> None:
    doubts = Doubts(MemoryDoubts())
    await doubts.lost([PIECE.note])
    for losses in (2, 3):
        note = await doubts.attempt(PIECE)
        await doubts.lost([note])
        assert doubts.losses(PIECE) == losses
    assert doubts.condemned(PIECE)


async def test_a_trial_counts_for_others_when_it_has_failed(postgres_store: PostgresEventStore) -> None:
    trying, other = (Doubts(PostgresDoubts(postgres_store.pool, "orders", "1")) for _ in range(2))
    await trying.lost([PIECE.note] * 2)
    note = await trying.attempt(PIECE)
    await other.refresh()
    for doubts in (trying, other):
        assert (doubts.losses(PIECE), doubts.condemned(PIECE)) == (2, False)
        with pytest.raises(StoreUnavailable, match="is being tried already"):
            await doubts.attempt(PIECE)
    await other.lost([note])
    assert other.condemned(PIECE)
    await trying.refresh()
    assert trying.condemned(PIECE)


async def test_a_trial_of_which_nothing_is_heard_counts_after_a_while(
    postgres_store: PostgresEventStore,
) -> None:
    store = PostgresDoubts(postgres_store.pool, "orders", "1")
    doubts = Doubts(store)
    for losses in (2, 3):
        assert await store.attempt(key_of(PIECE), "command", longest=0) == losses
        await doubts.refresh()
        assert doubts.losses(PIECE) == losses
    assert doubts.condemned(PIECE)


async def test_a_trial_that_could_not_be_cleared_is_no_loss() -> None:
    class Unavailable(MemoryDoubts):
        failures = 1

        async def clear(self, keys: Iterable[bytes]) -> None:
            self.failures = 1 - self.failures
            if not self.failures:
                raise StoreUnavailable("the database is restarting")
            await super().clear(keys)

    doubts = Doubts(Unavailable())
    for _ in range(MOST_LOSSES + 1):
        await doubts.attempt(PIECE)
        await doubts.survived([PIECE])
    await doubts.refresh()
    assert not doubts.condemned(PIECE)


async def test_one_process_is_lost_once_by_a_piece_of_two_threads() -> None:
    doubts = Doubts(MemoryDoubts())
    note = await doubts.attempt(PIECE)
    for notes in ([PIECE.note, note, PIECE.note], [note, PIECE.note], [note, note]):
        assert list(once_each(notes)) == [note]
    assert list(once_each([PIECE.note, OTHER.note, PIECE.note])) == [PIECE.note, OTHER.note]


async def test_processes_share_what_they_know_and_other_code_begins_anew(
    postgres_store: PostgresEventStore,
) -> None:
    def doubts(code: str) -> Doubts:
        return Doubts(PostgresDoubts(postgres_store.pool, "orders", code))

    one, two, newer = doubts("1"), doubts("1"), doubts("2")
    await one.lost([PIECE.note, OTHER.note, b"torn"])
    await one.attempt(PIECE)
    for each in (two, newer):
        await each.refresh()
    assert (two.losses(PIECE), two.losses(OTHER)) == (1, 1)
    assert not newer
    await two.survived([PIECE, OTHER])
    await one.refresh()
    assert not one
