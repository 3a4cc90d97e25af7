"""The comparison of what is recorded with its chain of digests."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Generic, NamedTuple, Protocol, TypeVar

from intent.auditing.chain import ENCODING, MARK, beginning, link_digest, row_digest
from intent.auditing.database import Link, SetBack
from intent.auditing.heads import Head

__all__ = ["Finding", "Verified", "verify"]

T = TypeVar("T")

_PAGE: Final = 1000
_FAR: Final = 1 << 63
"""Beyond every position."""
_PAST: Final = "recorded past the chain"
_MOST: Final = 10_000
"""How many findings are kept; of the others only the number is."""
_SET_BACK: Final = "the log was set back in its place, and these positions were written anew since"


class Finding(NamedTuple):
    """Something that is not as it was recorded.

    Attributes:
        first: The first position that it concerns.
        last: The last one.
        what: What is wrong with them.
    """

    first: int
    last: int
    what: str

    def __str__(self) -> str:
        where = (
            f"position {self.first}" if self.first == self.last else f"positions {self.first} to {self.last}"
        )
        return f"{where}: {self.what}"


class _Chained(Protocol):
    """What is verified; `AuditDatabase` reads it."""

    async def heads(self) -> Mapping[str, Head]:
        """Return the ends of the chains."""
        ...

    async def links(self, of: str, after: int, most: int) -> Sequence[Link]:
        """Read links after a number."""
        ...

    async def set_backs(self, of: str) -> Sequence[SetBack]:
        """Read the links that begin before the end of the one before."""
        ...

    async def rows(self, of: str, after: int | None, most: int) -> Sequence[Any]:
        """Read rows after a position, with all their columns."""
        ...


@dataclass(slots=True)
class Verified:
    """What was found of the log or the audit.

    Attributes:
        of: ``events`` or ``audit``.
        began_after: The chain proves what comes after this position.
        position: The position up to which rows were read.
        rows: How many of them the chain proves.
        digest: The digest over all of them.
        findings: What is wrong.
        notes: What an epoch of the log explains.
        more_findings: How many findings there are besides.
        more_notes: How many notes there are besides.
    """

    of: str
    began_after: int = 0
    position: int = 0
    rows: int = 0
    digest: bytes = b""
    findings: list[Finding] = field(default_factory=list)
    notes: list[Finding] = field(default_factory=list)
    more_findings: int = 0
    more_notes: int = 0

    def find(self, first: int, last: int, what: str) -> None:
        """Note a finding; equal ones of neighbours are one."""
        self.more_findings += _left_out(self.findings, Finding(first, last, what))

    def explain(self, first: int, last: int, what: str) -> None:
        """Note what is no finding, because an epoch explains it."""
        self.more_notes += _left_out(self.notes, Finding(first, last, what))


def _left_out(known: list[Finding], new: Finding) -> int:
    """Add a finding and return 0, or return 1 when there are enough."""
    before = known[-1] if known else None
    if before is not None and before.what == new.what and before.last + 1 == new.first:
        known[-1] = before._replace(last=new.last)
    elif len(known) < _MOST:
        known.append(new)
    else:
        return 1
    return 0


async def verify(
    database: _Chained,
    of: str,
    exported: Head | None = None,
    report: Callable[[int, int], None] = lambda position, last: None,
) -> Verified:
    """Compare the rows of the log or of the audit with their chain; appends may go on meanwhile.

    Args:
        database: Reads both.
        of: ``events`` or ``audit``.
        exported: What the chain was at an earlier time, kept elsewhere; None: it is not known.
        report: Called with the position reached and the last position from time to time.

    Raises:
        StoreUnavailable: The database does not answer.
    """
    head = (await database.heads())[of]
    walk = _Walk(database, of, head, exported, report)
    await walk.links()
    await walk.end()
    return walk.found


class _Walk:
    """One walk along a chain and its rows."""

    def __init__(
        self,
        database: _Chained,
        of: str,
        head: Head,
        exported: Head | None,
        report: Callable[[int, int], None],
    ) -> None:
        self.found = Verified(of)
        self._database = database
        self._head = head
        self._exported = exported
        self._report = report
        rows = _pages(lambda after: database.rows(of, after, _PAGE), lambda row: row["position"])
        self._rows = _Ahead(rows)
        self._set_backs: deque[SetBack] = deque()
        self._bounds: deque[int] = deque([_FAR])
        """For each of them, and at last for none: the first position that is written anew from there on."""
        self._number = -1
        self._reached = 0
        """The position up to which links have been seen whose rows were not written anew later."""

    async def links(self) -> None:
        """Follow the links up to the head."""
        of, found, database = self.found.of, self.found, self._database
        set_backs = [each for each in await database.set_backs(of) if each.number <= self._head.number]
        for each in reversed(set_backs):
            self._set_backs.appendleft(each)
            self._bounds.appendleft(min(each.first, self._bounds[0]))
        pages = _pages(
            lambda after: database.links(of, -1 if after is None else after, _PAGE), lambda link: link.number
        )
        async for link in pages:
            if link.number > self._head.number:
                break
            self._go_back(link)
            await (self._begin(link) if self._number < 0 else self._link(link))
            self._number, found.position, found.digest = link.number, link.last, link.digest
            self._compare_exported(link)
            self._report(link.last, self._head.chained)
        if self._number < 0:
            found.find(0, self._head.chained, "the whole chain was removed")

    async def end(self) -> None:
        """Compare the ends: the last link, the last row, and the heads of both."""
        found, head = self.found, self._head
        if self._number < head.number:
            last = max(head.chained, found.position + 1)
            found.find(found.position + 1, last, "removed from the end of the chain")
            await self._unproven(last)
        elif (found.digest, found.position) != (head.digest, head.chained):
            found.find(head.chained, head.chained, "the head of the chain was changed")
        if head.position != head.chained:
            low, high = sorted((head.position, head.chained))
            found.find(low + 1, high, "the position of the head was changed")
        exported = self._exported
        if exported is not None and exported.number > head.number:
            first = min(exported.position, head.chained + 1)
            what = "missing since the head was exported: removed, or lost in a restore or promotion"
            found.find(first, exported.position, what)
        await self._beyond()

    async def _begin(self, link: Link) -> None:
        found = self.found
        whole = link.first > link.last == link.before and link.digest == beginning(found.of, link.last)
        if whole:
            found.began_after = link.last
        else:
            found.find(link.last, link.last, "the beginning of the chain was changed or removed")
        await self._unproven(min(link.last, self._bounds[0] - 1))

    async def _link(self, link: Link) -> None:
        found = self.found
        known = link.number == self._number + 1
        kept = min(link.last, self._bounds[0] - 1)
        if not known:
            last = max(link.first - 1, found.position + 1)
            found.find(found.position + 1, last, "its link of the chain was removed")
        # What follows a link that is missing may be its rows; what follows one that is there has none.
        await self._unproven(min(link.first - 1, kept), _PAST if known else "")
        expected = link.last - link.first + 1
        whole = link.encoding == ENCODING and expected >= 1 and len(link.marks) == MARK * expected
        if not whole or (known and link.before != found.position):
            found.find(link.first, link.last, "its link of the chain was changed or inserted")
        if not whole:
            await self._unproven(kept)
            return
        digests = await self._digests(link, kept)
        complete = known and len(digests) == expected
        if complete and link.digest != link_digest(found.digest, link.first, link.last, digests):
            found.find(link.first, link.last, "its link of the chain does not follow from the one before")
        self._reached = max(self._reached, kept)

    def _go_back(self, link: Link) -> None:
        """Note what a link writes anew, if it begins before the end of the one before."""
        while self._set_backs and self._set_backs[0].number <= link.number:
            set_back = self._set_backs.popleft()
            self._bounds.popleft()
            explained = set_back.in_epoch and not self._after_export(set_back)
            note = self.found.explain if explained else self.found.find
            note(set_back.first, set_back.before, _SET_BACK)

    def _after_export(self, set_back: SetBack) -> bool:
        """Return whether rows were written anew that the exported head stands for."""
        exported = self._exported
        return (
            exported is not None and set_back.number > exported.number and set_back.first <= exported.position
        )

    async def _digests(self, link: Link, kept: int) -> list[bytes]:
        """Return the digests of the rows of a link that are as its marks say; note the others."""
        found, digests = self.found, []
        for position in range(link.first, kept + 1):
            row = await self._row_at(position)
            if row is None:
                found.find(position, position, "removed")
                continue
            digest = row_digest(found.of, row)
            mark = MARK * (position - link.first)
            if digest[:MARK] == link.marks[mark : mark + MARK]:
                digests.append(digest)
                found.rows += 1
            else:
                found.find(position, position, "changed")
        return digests

    async def _row_at(self, position: int) -> Any:
        """Return the row at a position, or None; note those before it, which belong nowhere."""
        while (row := await self._rows.peek()) is not None and row["position"] < position:
            self.found.find(row["position"], row["position"], "inserted")
            await self._rows.take()
        return await self._rows.take() if row is not None and row["position"] == position else None

    async def _unproven(self, last: int, what: str = "") -> None:
        """Pass over rows up to a position that no link proves.

        They can be missing still, since positions have no gap.

        Args:
            last: The last position.
            what: What is wrong with those that are there; empty: nothing that is known.
        """
        found, first = self.found, self._reached + 1
        next_ = first
        while (row := await self._rows.peek()) is not None and row["position"] <= last:
            position = row["position"]
            if position < first:
                found.find(position, position, "inserted")
            else:
                if position > next_:
                    found.find(next_, position - 1, "removed")
                if what:
                    found.find(position, position, what)
            next_ = max(next_, position + 1)
            await self._rows.take()
        if next_ <= last:
            found.find(next_, last, "removed")
        self._reached = max(self._reached, last)

    async def _beyond(self) -> None:
        """Note rows beyond the head that are no appends of the meantime."""
        of, known = self.found.of, self._head.position
        while (row := await self._rows.take()) is not None:
            position = row["position"]
            if position > known:
                known = (await self._database.heads())[of].position
            if position > known:
                self.found.find(position, position, "inserted")

    def _compare_exported(self, link: Link) -> None:
        exported = self._exported
        if exported is None or link.number != exported.number:
            return
        if (link.digest, link.last) != (exported.digest, exported.position):
            what = "the chain was written anew: it leads to another digest than the exported head"
            self.found.find(exported.position, exported.position, what)


class _Ahead(Generic[T]):
    """An iterator whose next value can be looked at."""

    def __init__(self, values: AsyncIterator[T]) -> None:
        self._values = values
        self._next: list[T] = []

    async def peek(self) -> T | None:
        """Return the next value without taking it; None: there is none."""
        if not self._next:
            value = await anext(self._values, None)
            if value is None:
                return None
            self._next.append(value)
        return self._next[0]

    async def take(self) -> T | None:
        """Return the next value; None: there is none."""
        value = await self.peek()
        self._next.clear()
        return value


async def _pages(
    read: Callable[[int | None], Awaitable[Sequence[T]]], position: Callable[[T], int]
) -> AsyncIterator[T]:
    """Yield all values, page by page."""
    after: int | None = None
    while page := await read(after):
        for value in page:
            yield value
        after = position(page[-1])
