"""Code that hangs or raises anything at all costs itself, and neither the event loop nor its neighbours."""

from __future__ import annotations

import asyncio
import contextlib
import re
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from intent.guarding import Guard, Poison, Watch, guarded_steps

BASE_EXCEPTIONS = (SystemExit, KeyboardInterrupt, asyncio.CancelledError, GeneratorExit, BaseException)
_LONGEST_STALL = 1.5
"""A second, and what a busy machine adds."""


@asynccontextmanager
async def responsive() -> AsyncIterator[None]:
    """Check that the event loop runs all the time."""
    stalls: list[float] = []

    async def measure() -> None:
        while True:
            before = time.monotonic()
            await asyncio.sleep(0.01)
            stalls.append(time.monotonic() - before)

    measuring = asyncio.create_task(measure())
    await asyncio.sleep(0)
    yield
    await asyncio.sleep(0.02)
    measuring.cancel()
    assert max(stalls) < _LONGEST_STALL


def spin(watch: Watch) -> None:
    watch.enter(b"spin")
    while True:
        pass


def sleep(watch: Watch) -> None:
    watch.enter(b"sleep")
    time.sleep(60)


def swallow(watch: Watch) -> None:
    """Swallow the first interruption, as a bare except does."""
    watch.enter(b"swallow")
    with contextlib.suppress(BaseException):
        while True:
            pass
    while True:
        pass


@pytest.mark.parametrize("work", [spin, sleep, swallow])
async def test_code_that_hangs_is_ended_and_the_loop_goes_on(work: Callable[[Watch], None]) -> None:
    guard = Guard(limit=0.5)
    async with responsive():
        with pytest.raises(Poison, match=r"it took longer than 0.5 s"):
            await guard.call(work)
    assert await guard.call(lambda _: "next") == "next"


async def test_code_that_is_slow_within_its_limit_succeeds() -> None:
    def slow(watch: Watch) -> str:
        watch.enter(b"slow")
        end = time.monotonic() + 1
        while time.monotonic() < end:
            pass
        return "done"

    async with responsive():
        assert await Guard(limit=20).call(slow) == "done"


async def test_each_piece_has_the_whole_limit() -> None:
    def pieces(watch: Watch) -> int:
        for _ in range(4):
            watch.enter(b"piece")
            time.sleep(0.4)
        return 4

    assert await Guard(limit=1.2).apart(pieces) == 4


async def test_a_regular_expression_that_explodes_does_not_hold_the_loop_forever() -> None:
    def explode(watch: Watch) -> None:
        watch.enter(b"explode")
        re.match(r"(a+)+$", "a" * 40 + "b")

    guard = Guard()
    async with responsive():
        from intent.guarding import TooSlow

        with pytest.raises(TooSlow):
            guard.inline(explode)


@pytest.mark.parametrize("error", BASE_EXCEPTIONS)
@pytest.mark.parametrize("apart", [False, True])
async def test_whatever_is_raised_is_a_defect_of_the_code(error: type[BaseException], apart: bool) -> None:
    guard = Guard()

    def raises(watch: Watch) -> None:
        watch.enter(b"raises")
        raise error

    with pytest.raises(Poison, match=f"it raised {error.__name__}"):
        await (guard.apart(raises) if apart else guard.call(raises))


async def test_an_ordinary_exception_stays_what_it_is() -> None:
    def raises(_: Watch) -> None:
        raise ZeroDivisionError("a defect")

    guard = Guard()
    for run in (guard.call, guard.apart):
        with pytest.raises(ZeroDivisionError):
            await run(raises)


@pytest.mark.parametrize("error", [*BASE_EXCEPTIONS, ZeroDivisionError])
async def test_a_coroutine_may_raise_anything(error: type[BaseException]) -> None:
    async def raises() -> None:
        await asyncio.sleep(0)
        raise error

    with pytest.raises(ZeroDivisionError if error is ZeroDivisionError else Poison):
        await guarded_steps(Guard(), b"raises", raises())


async def test_a_coroutine_that_blocks_is_interrupted() -> None:
    async def blocks() -> None:
        await asyncio.sleep(0)
        time.sleep(60)  # noqa: ASYNC251 - that is the defect

    async with responsive():
        with pytest.raises(Poison, match="held the event loop"):
            await guarded_steps(Guard(), b"blocks", blocks())


@pytest.mark.parametrize("awaited", [lambda: asyncio.sleep(0.01, 5), lambda: asyncio.to_thread(lambda: 5)])
async def test_a_coroutine_waits_and_returns(awaited: Callable[[], Awaitable[int]]) -> None:
    async def waits() -> int:
        return await awaited()

    assert await guarded_steps(Guard(), b"waits", waits()) == 5


async def test_a_coroutine_is_cancelled_and_cleans_up() -> None:
    cleaned: list[bool] = []

    async def waits() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            cleaned.append(True)

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await guarded_steps(Guard(), b"waits", waits())
    assert cleaned == [True]


async def test_too_many_threads_that_do_not_end_are_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("intent.guarding.guard._MOST_LEFT_BEHIND", 1)
    guard = Guard(limit=0.1)
    assert guard.problem == ""

    def sleeps(watch: Watch) -> None:
        watch.enter(b"sleeps")
        time.sleep(6)

    with pytest.raises(Poison):
        await guard.apart(sleeps)
    assert "1 threads are held" in guard.problem
    async with asyncio.timeout(60):
        while guard.problem:  # noqa: ASYNC110 - it looks at a thread
            await asyncio.sleep(0.05)


def test_a_program_that_uses_the_signal_itself_keeps_it() -> None:
    script = (
        "import signal, asyncio\n"
        "signal.signal(signal.SIGALRM, lambda *_: print('mine'))\n"
        "from intent.guarding import Guard\n"
        "async def main(): return Guard().inline(lambda watch: watch.enter(b'x'))\n"
        "asyncio.run(main())\n"
        "signal.raise_signal(signal.SIGALRM)\n"
    )

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "mine\n"


@pytest.mark.parametrize("seconds", [0.0, 0.4], ids=["in time", "interrupted"])
def test_a_profiler_works_after_guarded_code(seconds: float) -> None:
    # CPython 3.11 stood still under one once an interruption had been taken back.
    program = (
        "import asyncio, contextlib, sys, time\n"
        "from intent.guarding import Guard, Poison\n"
        f"until = time.monotonic() + {seconds}\n"
        "def work(watch):\n"
        "    while time.monotonic() < until: pass\n"
        "async def main():\n"
        "    with contextlib.suppress(Poison):\n"
        "        await Guard(0.1, interrupts=False).apart(work)\n"
        "asyncio.run(main())\n"
        "sys.setprofile(lambda *_: None)\n"
        "(lambda: None)()\n"
        "print('profiled')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=20)
    assert (done.returncode, done.stdout) == (0, "profiled\n"), done.stderr
