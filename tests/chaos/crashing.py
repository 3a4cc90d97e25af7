"""A context process that is killed exactly between the commit of an append and its acknowledgement."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence

from intent.cli.app import main
from intent.store import AppendResult, StreamAppend
from intent.store.postgres import PostgresEventStore

_append = PostgresEventStore.append
_left = int(os.environ["APPENDS_UNTIL_CRASH"])


async def _append_and_crash(self: PostgresEventStore, streams: Sequence[StreamAppend]) -> AppendResult:
    global _left
    result = await _append(self, streams)
    _left -= 1
    if _left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return result


if __name__ == "__main__":
    PostgresEventStore.append = _append_and_crash  # type: ignore[method-assign]
    main()
