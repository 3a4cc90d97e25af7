"""How gRPC's threads share the processors with the event loop."""

from __future__ import annotations

import os
from collections.abc import Callable
from os import sched_getscheduler
from threading import Thread

import pytest
from intent.service.threads import patient_threads


def in_a_thread(work: Callable[[], None]) -> None:
    thread = Thread(target=work)
    thread.start()
    thread.join()


def seen_by_threads(chosen: int | None = None) -> dict[str, int]:
    """Return the policies of threads started inside and after the block, and of their starter."""
    seen: dict[str, int] = {}

    def note(name: str) -> None:
        in_a_thread(lambda: seen.update({name: sched_getscheduler(0)}))

    def starter() -> None:
        if chosen is not None:
            os.sched_setscheduler(0, chosen, os.sched_param(0))
        with patient_threads():
            note("meanwhile")
        note("after")
        seen["starter"] = sched_getscheduler(0)

    in_a_thread(starter)
    return seen


def test_threads_that_are_started_meanwhile_preempt_no_other() -> None:
    assert seen_by_threads() == {
        "meanwhile": os.SCHED_BATCH,
        "after": os.SCHED_OTHER,
        "starter": os.SCHED_OTHER,
    }


def test_a_policy_that_was_chosen_elsewhere_stays() -> None:
    idle = os.SCHED_IDLE
    assert seen_by_threads(idle) == {"meanwhile": idle, "after": idle, "starter": idle}


@pytest.mark.parametrize("call", ["sched_getscheduler", "sched_setscheduler"])
def test_where_the_kernel_refuses_the_policies_stay(monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, call, refuse)
    assert set(seen_by_threads().values()) == {os.SCHED_OTHER}
