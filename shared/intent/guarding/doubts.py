"""Which pieces of work processes have died of, and when to stop trying."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from hashlib import blake2b
from typing import Final, NamedTuple, Protocol

from intent.errors import StoreError, StoreUnavailable
from intent.guarding.poison import MOST_LOSSES, Poison

__all__ = ["DoubtStore", "Doubts", "UnderWay", "command_piece", "key_of", "once_each"]

_log: Final = logging.getLogger("intent.guarding")

_HESITATION: Final = 1.0
"""How many seconds to wait before work that may kill the process, for each process that it has killed."""
_LONGEST_TRIAL: Final = 15.0
"""After so many seconds a trial of which nothing was heard counts as a lost process."""
_NOTED: Final = b"\0noted"
_LONGEST: Final = 1_000
"""The most bytes of a note; a name that long is cut."""


class UnderWay(NamedTuple):
    """A piece of work, as journals note it.

    Attributes:
        kind: ``command``, ``query``, ``projection``, ``consumer`` or ``saga``.
        what: Whose code runs: the type of the command or query, or the name of the projection or consumer.
        tenant: The tenant; empty when it belongs to none.
        id: Names the piece among those of its kind and tenant.
    """

    kind: str
    what: str
    tenant: str
    id: str

    @property
    def note(self) -> bytes:
        """What a journal keeps."""
        return "\0".join(self).encode("utf-8", "replace")[:_LONGEST]

    @classmethod
    def of_note(cls, note: bytes) -> UnderWay | None:
        """Return what was noted; None when the note is incomplete."""
        parts = note.decode("utf-8", "replace").split("\0")
        return cls(*parts[:4]) if len(parts) >= 4 else None

    def __str__(self) -> str:
        of = f" of tenant {self.tenant}" if self.tenant else ""
        return f"{self.kind} {self.what} {self.id}{of}"


class DoubtStore(Protocol):
    """Keeps how many processes each piece of work has cost, for all processes of a context."""

    async def note(self, key: bytes, what: str) -> int:
        """Count one more loss; return the new count."""
        ...

    async def attempt(self, key: bytes, what: str, longest: float) -> int:
        """Count one more loss in advance, up to at least two; return the new count.

        Until it is confirmed, or `longest` seconds have passed, it is not among what `read` returns, and
        other attempts are refused: then return 0.
        """
        ...

    async def confirm(self, key: bytes) -> int:
        """Count what was counted in advance: the process has died; return the count."""
        ...

    async def clear(self, keys: Iterable[bytes]) -> None:
        """Forget pieces that were completed."""
        ...

    async def read(self) -> Mapping[bytes, int]:
        """Return the losses of every piece in doubt, without the attempts that are under way."""
        ...


class Doubts:
    """What this process knows of work that processes died of.

    In an installation where nothing of the kind happens it is empty, and asking it costs nothing.

    Args:
        store: Shares the counts between processes; None: this process remembers nothing either.
        changed: Called when other processes should refresh what they know.
    """

    def __init__(self, store: DoubtStore | None = None, changed: Callable[[], None] = lambda: None) -> None:
        self._store = store
        self._changed = changed
        self._losses: dict[bytes, int] = {}
        self._uncleared: set[bytes] = set()

    def __bool__(self) -> bool:
        return bool(self._losses)

    def losses(self, piece: UnderWay) -> int:
        """Return how many processes were lost while this piece was under way."""
        return self._losses.get(key_of(piece), 0) if self._losses else 0

    def condemned(self, piece: UnderWay) -> bool:
        """Return whether a piece is not to be tried again."""
        return bool(self._losses) and self.losses(piece) >= MOST_LOSSES

    async def refresh(self) -> None:
        """Read what all processes know."""
        if self._store is not None:
            self._losses = dict(await self._store.read())

    async def lost(self, notes: Iterable[bytes]) -> None:
        """Count what was under way when a process was killed."""
        for note in notes:
            piece = UnderWay.of_note(note)
            losses = 0 if piece is None else await self._count(piece, confirmed=note.endswith(_NOTED))
            if losses:
                _log.error("a process was lost during %s (%d of at most %d)", piece, losses, MOST_LOSSES)

    async def attempt(self, piece: UnderWay) -> bytes:
        """Count a loss in advance, of work that was begun before and lost; return the note of it.

        The first process to die of it may have left no journal, so that the count starts at two. For other
        work it does not count before the process has died, or has not said for 15 seconds how it ended.

        Raises:
            StoreUnavailable: It is being tried already; how that ends decides whether to try it again.
        """
        if self._store is None:
            return piece.note
        key = key_of(piece)
        if key in self._uncleared:
            await self._store.clear([key])
            self._uncleared.discard(key)
        losses = await self._store.attempt(key, f"{piece.kind} {piece.what}", _LONGEST_TRIAL)
        if not losses:
            raise StoreUnavailable(f"{piece} is being tried already, since a process was lost during it")
        self._losses[key] = losses - 1
        self._changed()
        return piece.note + _NOTED

    async def admit(self, piece: UnderWay) -> None:
        """Wait before suspected work is begun, see `hesitate`.

        Raises:
            Poison: It is not to be tried again.
        """
        if self.condemned(piece):
            raise Poison.of_losses()
        await self.hesitate([piece])

    async def hesitate(self, pieces: Iterable[UnderWay]) -> None:
        """Wait before suspected work is begun: what this process does besides may be its last."""
        await asyncio.sleep(max(map(self.losses, pieces), default=0) * _HESITATION)

    async def survived(self, pieces: Iterable[UnderWay]) -> None:
        """Forget pieces that were completed after all."""
        keys = [key for key in map(key_of, pieces) if key in self._losses]
        if not keys or self._store is None:
            return
        try:
            await self._store.clear(keys)
        except StoreError as error:
            # They are suspected for longer than they need be, and no more.
            _log.warning("what was suspected and completed stays suspected: %s", error)
            self._uncleared.update(keys)
            return
        self._uncleared.difference_update(keys)
        for key in keys:
            self._losses.pop(key, None)
        self._changed()

    async def _count(self, piece: UnderWay, *, confirmed: bool) -> int:
        if self._store is None:
            return 0
        key = key_of(piece)
        counted = (
            self._store.confirm(key) if confirmed else self._store.note(key, f"{piece.kind} {piece.what}")
        )
        losses = await counted
        if losses:
            self._losses[key] = losses
            self._changed()
        return losses


def once_each(notes: Iterable[bytes]) -> Iterable[bytes]:
    """Return one note for each piece that a process had under way, in however many threads."""
    by_piece: dict[UnderWay | None, bytes] = {}
    for note in notes:
        piece = UnderWay.of_note(note)
        if not by_piece.get(piece, b"").endswith(_NOTED):
            by_piece[piece] = note
    return by_piece.values()


def key_of(piece: UnderWay) -> bytes:
    """Return a digest of a piece: it names the piece and says nothing of any tenant."""
    return blake2b(piece.note, digest_size=16).digest()


def command_piece(type_name: str, tenant: str, command_id: str) -> UnderWay:
    """Return a command as a piece of work."""
    return UnderWay("command", type_name, tenant, command_id)
