"""The migrations of the event store are one sequence."""

from __future__ import annotations

import re

from .files import ROOT

VERSIONS = ROOT / "shared" / "intent" / "store" / "migrations" / "versions"


def test_each_migration_follows_the_one_before_it() -> None:
    files = sorted(VERSIONS.glob("[0-9]*.py"))
    numbers = [path.name.partition("_")[0] for path in files]
    assert numbers == [f"{number:04}" for number in range(1, len(files) + 1)], "two took the same number"
    for path, number, before in zip(files, numbers, [None, *numbers], strict=False):
        text = path.read_text()
        assert re.search(rf'^revision(: str)? = "{number}"', text, re.MULTILINE), path
        follows = f'"{before}"' if before else "None"
        assert re.search(rf"^down_revision(: [^=]*)? = {follows}", text, re.MULTILINE), path
