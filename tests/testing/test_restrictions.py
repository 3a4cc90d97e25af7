"""What the code of a saga must not use is refused by its tests, with what to use instead."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import random
import socket
import threading
import time
import uuid
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from intent.sagas import Saga
from intent.sagas.forbidden import ForbiddenError
from intent.testing import scripted
from intent_contracts.orders.v1 import CheckoutStarted, ConfirmOrder

from ..sagas.saga_examples import CHECKOUT

CLOCK, PAUSE, CHANCE, PORT, BESIDE = (
    "self.now()",
    "self.sleep(…)",
    "self.correlation",
    "self.call(…)",
    "self.parallel(…)",
)


def play(code: Callable[[Saga], object]) -> None:
    class Careless(Saga):
        name = "FulfilOrder"

        async def run(self, started: CheckoutStarted) -> None:
            returned = code(self)
            if isinstance(returned, Awaitable):
                await returned
            await self.execute(ConfirmOrder(order_id=self.correlation))

    scripted(Careless, CHECKOUT, correlation="o-1").run().then_completed()


@pytest.mark.parametrize(
    ("code", "name", "instead"),
    [
        (lambda _: time.time(), "time.time", CLOCK),
        (lambda _: time.monotonic(), "time.monotonic", CLOCK),
        (lambda _: datetime.now(UTC), "datetime.datetime.now", CLOCK),
        (lambda _: date.today(), "datetime.date.today", CLOCK),
        (lambda _: time.sleep(0), "time.sleep", PAUSE),
        (lambda _: asyncio.sleep(0), "asyncio.sleep", PAUSE),
        (lambda _: asyncio.wait_for(asyncio.Future(), 1), "asyncio.wait_for", PAUSE),
        (lambda _: random.random(), "random.random", CHANCE),
        (lambda _: random.randint(1, 6), "random.randint", CHANCE),
        (lambda _: uuid.uuid4(), "uuid.uuid4", CHANCE),
        (lambda _: open("/tmp/x"), "open", PORT),  # noqa: SIM115
        (lambda _: Path("/tmp/x").read_text(), "pathlib.read_text", PORT),
        (lambda _: os.listdir("/tmp"), "os.listdir", PORT),
        (lambda _: socket.create_connection(("127.0.0.1", 1)), "socket.", PORT),
        (lambda _: threading.Thread(target=print).start(), "threading.Thread", BESIDE),
        (lambda _: asyncio.gather(), "asyncio.gather", BESIDE),
    ],
)
@pytest.mark.filterwarnings("ignore:coroutine:RuntimeWarning")
def test_what_a_saga_must_not_use_is_refused(code: Any, name: str, instead: str) -> None:
    with pytest.raises(ForbiddenError) as refused:
        play(code)
    text = str(refused.value)
    assert text.startswith(f"a saga must not use {name}"), text
    assert instead in text


def test_an_error_that_the_code_catches_is_reported_all_the_same() -> None:
    def careful(_: Saga) -> None:
        with suppress(Exception):
            time.time()

    with pytest.raises(ForbiddenError, match=r"time\.time"):
        play(careful)


def test_what_a_collection_of_garbage_calls_is_not_done_by_the_saga() -> None:
    def timed(*_: object) -> None:
        time.perf_counter()

    def allocates(_: Saga) -> None:
        assert [[n] for n in range(10_000)]

    gc.callbacks.append(timed)
    try:
        play(allocates)
    finally:
        gc.callbacks.remove(timed)
    assert gc.isenabled()


def test_what_is_the_same_every_time_is_allowed() -> None:
    def pure(saga: Saga) -> None:
        assert saga.now().tzinfo is UTC
        assert random.Random(saga.correlation).random() < 1
        assert uuid.uuid5(uuid.NAMESPACE_URL, saga.correlation)
        assert datetime(2026, 1, 1, tzinfo=UTC) < datetime.max.replace(tzinfo=UTC)
        assert Path("a") / "b"
        logging.getLogger(__name__).warning("a line")
        import this_is_no_module  # type: ignore[import-not-found]  # noqa: F401

    with pytest.raises(ModuleNotFoundError):
        play(pure)
    assert time.time() > 0
