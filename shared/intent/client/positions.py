"""The epochs of the positions that a client was handed."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

__all__ = ["HandedPositions"]

_MOST: Final = 10_000


class HandedPositions:
    """The epochs of the positions that were handed to a client last, so that it need not carry them."""

    def __init__(self) -> None:
        self._epochs: OrderedDict[int, str] = OrderedDict()

    def note(self, position: int, epoch: str) -> None:
        """Note to which epoch a position belongs."""
        self._epochs[position] = epoch
        self._epochs.move_to_end(position)
        if len(self._epochs) > _MOST:
            self._epochs.popitem(last=False)

    def epoch_of(self, position: int) -> str:
        """Return the epoch of a position; empty when it was not handed out, or long ago."""
        return self._epochs.get(position, "")
