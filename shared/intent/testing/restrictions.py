"""Refuses in tests what the code of a saga must not use, as the sandbox does in production."""

from __future__ import annotations

import asyncio
import datetime
import gc
import io
import os
import random
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import BuiltinFunctionType, FrameType
from typing import Any, Final

from intent.sagas.forbidden import BESIDE_STEPS, ForbiddenError, forbidden

__all__ = ["restricted"]

_PLATFORM: Final = "intent"
_LENIENT: Final = frozenset({"importlib", "logging", "warnings", "traceback", "linecache", "zipimport"})
"""Modules that may do anything: importing and logging are no steps."""

_CLOCK: Final = ("time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns", "sleep")
_SYSTEM: Final = frozenset(
    [
        "open",
        "stat",
        "lstat",
        "listdir",
        "scandir",
        "mkdir",
        "rmdir",
        "remove",
        "unlink",
        "rename",
        "replace",
        "getcwd",
        "urandom",
        "system",
        "fork",
        "posix_spawn",
    ]
)
_FUNCTIONS: Final = frozenset(
    {
        io.open,
        *(getattr(time, name) for name in _CLOCK),
        *(getattr(os, name) for name in _SYSTEM if isinstance(getattr(os, name, None), BuiltinFunctionType)),
    }
)
"""Functions of the interpreter, in which whatever looks at the world ends."""
_DATES: Final = (datetime.datetime, datetime.date)
_NOW: Final = frozenset({"now", "utcnow", "today"})
_CHANCE: Final = random.random.__self__  # type: ignore[attr-defined]
"""The generator behind the functions of `random`; one with a seed of its own is no chance."""
_BESIDE: Final = frozenset(name.removeprefix("asyncio.") for name in BESIDE_STEPS)
_CLASSES: Final = frozenset(
    cls.__init__.__code__
    for cls in (asyncio.TaskGroup, threading.Thread)
    if hasattr(cls.__init__, "__code__")
)


class _Restrictions:
    """Watches the calls that the code of one package makes.

    Attributes:
        refused: The first error, which the code may have caught.
    """

    def __init__(self, package: str) -> None:
        self._package = package
        self.refused: ForbiddenError | None = None

    def __call__(self, frame: FrameType, event: str, arg: Any) -> None:
        """Raise when the code of the package makes a call that it must not make."""
        if event == "c_call":
            if _is_watched(arg):
                self._check(frame, _name_of(arg))
        elif event == "call" and frame.f_back is not None:
            name = _beside(frame)
            if name and self._is_own(frame.f_back):
                self._refuse(name)

    def _check(self, frame: FrameType, name: str) -> None:
        """Refuse a call that the package's code makes, directly or through libraries."""
        at: FrameType | None = frame
        while at is not None and not self._is_own(at):
            module = str(at.f_globals.get("__name__", ""))
            top = module.partition(".")[0]
            if top == _PLATFORM or top in _LENIENT:
                return
            name, at = f"{module}.{at.f_code.co_name}", at.f_back
        if at is not None:
            self._refuse(name)

    def _is_own(self, frame: FrameType) -> bool:
        return str(frame.f_globals.get("__name__", "")).partition(".")[0] == self._package

    def _refuse(self, name: str) -> None:
        error = forbidden(name)
        self.refused = self.refused or error
        raise error


def _is_watched(function: Any) -> bool:
    owner = getattr(function, "__self__", None)
    if owner in _DATES:
        return function.__name__ in _NOW
    if owner is _CHANCE or isinstance(owner, socket.socket):
        return True
    return isinstance(function, BuiltinFunctionType) and function in _FUNCTIONS


def _name_of(function: Any) -> str:
    owner = getattr(function, "__self__", None)
    if owner in _DATES:
        return f"datetime.{owner.__name__}.{function.__name__}"
    if owner is _CHANCE:
        return f"random.{function.__name__}"
    module = str(function.__module__ or "socket").replace("posix", "os").removeprefix("_")
    return function.__name__ if function is io.open else f"{module}.{function.__name__}"


def _beside(frame: FrameType) -> str:
    """Return the name of what takes no step although it waits or works side by side; else nothing."""
    code = frame.f_code
    module = str(frame.f_globals.get("__name__", ""))
    if module.startswith("asyncio.") and code.co_name in _BESIDE:
        return f"asyncio.{code.co_name}"
    if code in _CLASSES:
        return "asyncio.TaskGroup" if module.startswith("asyncio.") else "threading.Thread"
    return ""


@contextmanager
def _no_collection() -> Iterator[None]:
    """Collect no garbage, as callbacks and finalizers would seem to be called by the code that runs then."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@contextmanager
def _profiled(profile: _Restrictions) -> Iterator[None]:
    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        yield
    finally:
        sys.setprofile(before)


@contextmanager
def restricted(package: str) -> Iterator[None]:
    """Refuse what the code of a package must not use while it is run as that of a saga.

    Raises:
        ForbiddenError: It used something of that, and may have caught the error.
    """
    restrictions = _Restrictions(package)
    with _no_collection(), _profiled(restrictions):
        yield
    if restrictions.refused is not None:
        raise restrictions.refused
