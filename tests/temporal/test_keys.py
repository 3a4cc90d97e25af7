"""The keys in a folder: which one signs, and what files can be."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from intent.errors import ConfigurationError
from intent.temporal.signing import KeyRing

from .signed import BATCH, add, converter, got, sent


def signer(folder: Path) -> str:
    return KeyRing(folder).signer().name


def test_a_new_key_signs_once_every_process_has_it(keys: Path) -> None:
    add(keys, "2027-01", age=10)
    assert signer(keys) == "2026-11"
    add(keys, "2027-01", age=600)
    assert signer(keys) == "2027-01"


def test_where_all_files_are_new_the_first_signs_which_all_have(keys: Path) -> None:
    # As a kubelet writes them, when a pod starts and at each change of the Secret.
    for name in ("2026-11", "2027-01", "2027-02"):
        add(keys, name, age=1)
    assert signer(keys) == "2026-11"


async def test_a_key_that_is_to_go_signs_nothing_and_still_verifies(keys: Path) -> None:
    payload = await sent(converter(keys))
    (keys / "2026-11").rename(keys / "2026-11.old")
    for age in (1, 600):
        os.utime(keys / "2026-11.old", (time.time() - age,) * 2)
        # In a pod that has just started, and later.
        add(keys, "2027-01", age=age)
        assert signer(keys) == "2027-01"
        assert await got(converter(keys), payload) == BATCH
    (keys / "2027-01").unlink()
    assert signer(keys) == "2026-11.old"


def test_files_of_a_kubelet_are_read_as_it_writes_them(tmp_path: Path) -> None:
    folder = tmp_path / "mounted"
    add(tmp_path / "mounted", "unused").unlink()
    add(folder / "..2026", "2026-11")
    (folder / "..data").symlink_to("..2026")
    (folder / "2026-11").symlink_to("..data/2026-11")
    assert [key.name for key in KeyRing(folder).keys.values()] == ["2026-11"]


def test_a_key_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    with pytest.raises(ConfigurationError, match="of INTENT_TEMPORAL_KEYS cannot be read"):
        KeyRing(folder)
    folder.mkdir()
    with pytest.raises(ConfigurationError, match="folder without a key; make one with: openssl rand"):
        KeyRing(folder)
    (folder / "short").write_text("secret")
    with pytest.raises(
        ConfigurationError, match=r"short of INTENT_TEMPORAL_KEYS has 6 bytes.*openssl"
    ) as raised:
        KeyRing(folder)
    assert "secret" not in str(raised.value)


def test_no_key_is_shown(keys: Path) -> None:
    ring = KeyRing(keys)
    assert "of this test" not in repr(ring.signer())
    assert ring.signer().id not in ring.signer().secret
