"""What the code of a saga must not use, and what it uses instead.

The code runs again after a crash, and must take the same steps as before. One list serves the tests of
sagas and the sandbox in which they run.
"""

from __future__ import annotations

from typing import Final

__all__ = ["BESIDE_STEPS", "ForbiddenError", "forbidden"]

_CLOCK: Final = "use self.now()"
_PAUSE: Final = "use self.sleep(…), or the timeout of self.wait_for(…)"
_CHANCE: Final = "derive it from self.correlation, e.g. with uuid5, or let a handler or a port choose"
_FILES: Final = "call a port with self.call(…), or let the event that starts the saga carry it"
_OUTSIDE: Final = "call a port with self.call(…)"
_BESIDE: Final = "use self.parallel(…)"

BESIDE_STEPS: Final = {
    "asyncio.sleep": _PAUSE,
    "asyncio.wait_for": _PAUSE,
    "asyncio.timeout": _PAUSE,
    "asyncio.timeout_at": _PAUSE,
    "asyncio.gather": _BESIDE,
    "asyncio.wait": _BESIDE,
    "asyncio.as_completed": _BESIDE,
    "asyncio.create_task": _BESIDE,
    "asyncio.ensure_future": _BESIDE,
    "asyncio.TaskGroup": _BESIDE,
    "asyncio.to_thread": _OUTSIDE,
}
"""What would work, but takes no step: nothing shows it, and a new run knows nothing of it."""

_INSTEAD: Final = {
    **BESIDE_STEPS,
    "time.sleep": _PAUSE,
    "time": _CLOCK,
    "datetime": _CLOCK,
    "random": _CHANCE,
    "secrets": _CHANCE,
    "uuid": _CHANCE,
    "os.urandom": _CHANCE,
    "os.getrandom": _CHANCE,
    "os": _FILES,
    "io": _FILES,
    "open": _FILES,
    "input": _FILES,
    "pathlib": _FILES,
    "shutil": _FILES,
    "tempfile": _FILES,
    "glob": _FILES,
    "threading": _BESIDE,
    "concurrent": _BESIDE,
    "multiprocessing": _BESIDE,
}


class ForbiddenError(Exception):
    """The code of a saga uses what it must not use; the message says what to use instead."""


def forbidden(name: str) -> ForbiddenError:
    """Return the error for something that a saga uses, by its full name, e.g. ``time.time``."""
    plain = name.removeprefix("__builtins__.").removesuffix(".__call__")
    parts = plain.split(".")
    prefixes = (".".join(parts[:end]) for end in range(len(parts), 0, -1))
    instead = next((_INSTEAD[prefix] for prefix in prefixes if prefix in _INSTEAD), _OUTSIDE)
    return ForbiddenError(
        f"a saga must not use {plain}, since its code runs again after a crash and has to take the same "
        f"steps as before; {instead}"
    )
