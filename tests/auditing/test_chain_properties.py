"""Any log with its chain, changed in any one way, is found to be changed, and its positions are named."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from intent.auditing import Head, Link, SetBack, Verified, verify
from intent.auditing.chain import ENCODING, MARK, beginning, link_digest, row_digest

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
APPENDS = st.lists(st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=4), min_size=1, max_size=6)
UNHURRIED = settings(deadline=None)
"""How long an example takes says nothing on a machine that others use."""


class Chained:
    """An audit in memory, chained as PostgreSQL does it; the database's own chain is tested beside."""

    def __init__(self, appends: Sequence[Sequence[tuple[str, str]]]) -> None:
        self.table: dict[int, dict[str, Any]] = {}
        self.chain = [Link(0, 1, 0, 0, ENCODING, b"", beginning("audit", 0))]
        self.clock = self.position = 0
        for values in appends:
            self.append(values)

    @property
    def head(self) -> Head:
        end = self.chain[-1]
        return Head(self.position, end.number, end.last, end.digest)

    def append(self, values: Sequence[tuple[str, str]], *, chained: bool = True) -> None:
        """Append rows, with a link or past the chain."""
        first, before = self.position + 1, self.chain[-1]
        self.position += len(values)
        for position, (actor, method) in enumerate(values, first):
            self.clock += 1
            self.table[position] = self.row(position, actor, method, self.clock)
        if chained:
            last = self.position
            digests = [row_digest("audit", self.table[position]) for position in range(first, last + 1)]
            digest = link_digest(before.digest, first, last, digests)
            marks = b"".join(each[:MARK] for each in digests)
            self.chain.append(Link(before.number + 1, first, last, before.last, ENCODING, marks, digest))

    def set_back(self, rows: int) -> range:
        """Remove the last rows, and return their positions."""
        gone = range(max(0, self.position - rows) + 1, self.position + 1)
        for position in gone:
            del self.table[position]
        self.position -= len(gone)
        return gone

    @staticmethod
    def row(position: int, actor: str, method: str, at: int) -> dict[str, Any]:
        texts = dict.fromkeys(("tenant", "kind", "peer", "reason", "target", "correlation_id"), "")
        time = at.to_bytes(8)
        times = {"times": 1, "since": time, "recorded_at": time}
        return {"position": position, "actor": actor, "method": method, **texts, **times}

    async def heads(self) -> Mapping[str, Head]:
        return {"audit": self.head}

    async def links(self, of: str, after: int, most: int) -> Sequence[Link]:
        return [link for link in self.chain if link.number > after][:most]

    async def set_backs(self, of: str) -> Sequence[SetBack]:
        return [
            SetBack(link.number, link.first, link.before, False)
            for link in self.chain
            if link.number and link.first <= link.before
        ]

    async def rows(self, of: str, after: int | None, most: int) -> Sequence[Any]:
        start = -1 if after is None else after
        return [self.table[position] for position in sorted(self.table) if position > start][:most]

    def verified(self) -> Verified:
        return asyncio.run(verify(self, "audit"))


@UNHURRIED
@given(APPENDS)
def test_what_nobody_changed_is_whole(appends: Sequence[Sequence[tuple[str, str]]]) -> None:
    log = Chained(appends)
    found = log.verified()
    assert (found.findings, found.rows, found.digest) == ([], len(log.table), log.head.digest)


@UNHURRIED
@given(APPENDS, st.data())
def test_a_moved_character_is_a_change(appends: Sequence[Sequence[tuple[str, str]]], data: Any) -> None:
    """The encoding is unambiguous: what moves from one column into the next is another row."""
    log = Chained(appends)
    position = data.draw(st.sampled_from(sorted(log.table)))
    row = log.table[position]
    whole = row["method"] + row["actor"]
    cut = data.draw(st.integers(0, len(whole)))
    row["method"], row["actor"] = whole[:cut], whole[cut:]
    unchanged = row == Chained(appends).table[position]
    found = [(each.first, each.last, each.what) for each in log.verified().findings]
    assert found == ([] if unchanged else [(position, position, "changed")])


@UNHURRIED
@given(APPENDS, st.data())
def test_removed_positions_are_named(appends: Sequence[Sequence[tuple[str, str]]], data: Any) -> None:
    log = Chained(appends)
    gone = data.draw(st.sets(st.sampled_from(sorted(log.table))))
    for position in gone:
        del log.table[position]
    found = log.verified().findings
    assert {position for each in found for position in range(each.first, each.last + 1)} == gone
    assert {each.what for each in found} <= {"removed"}


@UNHURRIED
@given(APPENDS, st.data())
def test_a_link_that_is_changed_or_removed_is_noticed(
    appends: Sequence[Sequence[tuple[str, str]]], data: Any
) -> None:
    log = Chained(appends)
    index = data.draw(st.integers(0, len(log.chain) - 1))
    link = log.chain[index]
    changes = [
        link._replace(digest=bytes(32)),
        link._replace(marks=link.marks + bytes(MARK)),
        link._replace(encoding=ENCODING + 1),
        link._replace(first=link.first + 1),
        link._replace(last=link.last + 1),
        link._replace(before=link.before + 1),
        None,
    ]
    # The first link has no rows, whose encoding or marks could matter.
    wrong = data.draw(st.sampled_from([changes[0], *changes[4:]] if index == 0 else changes))
    log.chain[index : index + 1] = [] if wrong is None else [wrong]
    assert log.verified().findings


@UNHURRIED
@given(
    st.lists(st.tuples(st.sampled_from(["append", "slip in", "set back"]), st.integers(1, 4)), max_size=10)
)
def test_what_was_not_chained_when_it_was_recorded_is_named(steps: Sequence[tuple[str, int]]) -> None:
    """Whatever is appended or set back before and after, and nothing else is called so."""
    log = Chained([])
    past: set[int] = set()
    for what, rows in steps:
        if what == "set back":
            past.difference_update(log.set_back(rows))
        else:
            added = range(log.position + 1, log.position + 1 + rows)
            log.append([("user:ann", "/m")] * rows, chained=what == "append")
            (past.update if what == "slip in" else past.difference_update)(added)
    findings = log.verified().findings
    anew = [each for each in findings if "set back" in each.what]
    others = [each for each in findings if each not in anew]
    assert past <= {position for each in others for position in range(each.first, each.last + 1)}
    slipped = {p for each in others if "past" in each.what for p in range(each.first, each.last + 1)}
    assert slipped <= past
    assert not findings or {what for what, _ in steps} != {"append"}
