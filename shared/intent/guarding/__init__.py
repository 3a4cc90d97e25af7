"""Guards around the code of authors: what it raises, how long it takes, and what its process dies of.

Whatever a handler does costs the command, event or query that it handles, and nothing else.
"""

from intent.guarding.doubts import Doubts, DoubtStore, UnderWay, command_piece, once_each
from intent.guarding.guard import Guard, TooSlow, Watch
from intent.guarding.journal import Journal, read_leftovers
from intent.guarding.poison import MOST_LOSSES, Poison
from intent.guarding.steps import guarded_steps

__all__ = [
    "MOST_LOSSES",
    "DoubtStore",
    "Doubts",
    "Guard",
    "Journal",
    "Poison",
    "TooSlow",
    "UnderWay",
    "Watch",
    "command_piece",
    "guarded_steps",
    "once_each",
    "read_leftovers",
]
