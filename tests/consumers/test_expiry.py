"""An instance whose token expires: its call ends, and what it has acknowledged is kept."""

from __future__ import annotations

import pytest
from intent.errors import Unauthenticated
from intent.service import expiry

from ..service.test_expiry import Clock, Expiring
from .cluster import Cluster


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    monkeypatch.setattr(expiry, "LOOK", 0.01)
    return Clock()


@pytest.mark.parametrize("answered", [0, 3, 8])
async def test_what_was_acknowledged_is_kept(cluster: Cluster, clock: Clock, answered: int) -> None:
    process = await cluster.process(identities=Expiring(clock), clock=clock)
    await cluster.record_many(8)
    first = await cluster.joined(process, in_flight=100)
    taken = [await first.take() for _ in range(8)]
    for delivery in taken[:answered]:
        await first.acknowledge(delivery)
    await process.host.database.list(None)
    while process.host.counters()[0].acknowledged < answered:
        await process.host.database.list(None)
    clock.ahead += 3601
    error = await first.failure()
    assert isinstance(error, Unauthenticated)
    assert error.reason == "TOKEN_EXPIRED"

    second = await cluster.joined(process, in_flight=100)
    again = [await second.take() for _ in range(8 - answered)]
    assert sorted(d.event.position for d in again) == [d.event.position for d in taken[answered:]]
    assert second.waiting == 0
    await second.leave()


async def test_an_idle_instance_ends_with_its_token(cluster: Cluster, clock: Clock) -> None:
    process = await cluster.process(identities=Expiring(clock), clock=clock)
    worker = await cluster.joined(process)
    clock.ahead += 3601
    assert (await worker.failure()).reason == "TOKEN_EXPIRED"
