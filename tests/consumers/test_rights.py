"""A consumer's name belongs to its caller: nobody else joins it, and only operators operate it."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

import pytest
from intent.client import IntentClient
from intent.consumers import own_prefix
from intent.errors import PermissionDenied, Rejected

from ..store.builders import ACME
from .cluster import NAME, OWNER, Cluster, Process, until

STRANGER = "service:reports"
OPERATING: dict[str, Callable[[IntentClient], Awaitable[object]]] = {
    "remove": lambda client: client.consumers.remove(NAME),
    "drop": lambda client: client.consumers.drop(NAME, 1, "a test order"),
    "replay": lambda client: client.consumers.replay(NAME, "Order", "o-1"),
    "list parked": lambda client: client.consumers.parked(NAME),
    "list all parked": lambda client: client.consumers.parked(),
}


@pytest.mark.parametrize(
    ("actor", "prefix"),
    [
        ("service:shipping", "shipping."),
        ("user:ann", "user.ann."),
        ("dev", "user.dev."),
        ("user:shipping", "user.shipping."),
        # Names that would reach into those of others.
        ("service:user", ""),
        ("service:intent", ""),
        ("service:shipping.eu", ""),
        ("user:ann.b", ""),
        ("saga:shipping", ""),
        ("service:", ""),
        ("service:Shipping", ""),
    ],
)
def test_names_follow_from_the_actor_and_no_two_actors_share_one(actor: str, prefix: str) -> None:
    assert own_prefix(actor) == prefix


@pytest.mark.parametrize(
    "actor", [STRANGER, "user:shipping", "shipping", "service:ship", "service:shipping.known"]
)
async def test_nobody_takes_the_events_of_another_service(
    cluster: Cluster, process: Process, actor: str
) -> None:
    shipping = await cluster.joined(process, roles="consumer-all", all_tenants=True)
    for _ in range(3):
        refused = await cluster.joined(
            process, roles="consumer-all,operator", actor=actor, all_tenants=True, wait=False
        )
        error = await refused.failure()
        assert isinstance(error, PermissionDenied)
        assert (error.reason, error.metadata["actor"]) == ("CONSUMER_OF_ANOTHER", actor)
    await cluster.record_many(orders=10)
    assert len(await shipping.take_all(10)) == 10


async def test_the_refusal_says_which_names_are_ones_own(cluster: Cluster, process: Process) -> None:
    refused = await cluster.joined(process, actor="user:ann", wait=False)
    assert "begin with user.ann." in await refused.error()
    await cluster.joined(process, "user.ann.looking", actor="user:ann")


@pytest.mark.parametrize("role", ["consumer", "service"])
async def test_others_do_not_operate_a_consumer(cluster: Cluster, process: Process, role: str) -> None:
    await parked(cluster, process)
    stranger = process.client(actor=STRANGER, roles=[role])
    for operate in OPERATING.values():
        with pytest.raises(PermissionDenied) as caught:
            await operate(stranger)
        assert caught.value.reason == "CONSUMER_OF_ANOTHER"
    assert len((await process.client().consumers.parked(NAME)).parked) == 1


@pytest.mark.parametrize(
    ("actor", "role"), [(OWNER, "consumer"), (OWNER, "service"), ("user:olga", "operator")]
)
async def test_its_owner_and_operators_operate_a_consumer(
    cluster: Cluster, process: Process, actor: str, role: str
) -> None:
    await parked(cluster, process, "o-1", "o-2")
    consumers = process.client(actor=actor, roles=[role]).consumers
    waiting = {each.event.aggregate_id: each.event.position for each in (await consumers.parked(NAME)).parked}
    await consumers.drop(NAME, waiting["o-1"], "a test order")
    assert await consumers.replay(NAME, "Order", "o-2") == 1

    async def removed() -> bool:
        try:
            await consumers.remove(NAME)
        except Rejected:  # The instance that has left may not be gone yet.
            return False
        return True

    await until(removed)


async def parked(cluster: Cluster, process: Process, *orders: str) -> None:
    """Have the consumer park the events of some orders, and leave."""
    worker = await cluster.joined(process, attempts=1)
    for order in orders or ("o-1",):
        await cluster.record(order)
        await worker.fail(await worker.take())
    await worker.leave()


async def test_an_operator_sees_all_consumers_and_a_service_its_own(
    cluster: Cluster, process: Process
) -> None:
    await cluster.joined(process)
    await cluster.joined(process, "reports.orders", actor=STRANGER)

    async def seen(actor: str, *roles: str) -> dict[str, str]:
        listed = await process.client(ACME, actor=actor, roles=roles).consumers.list()
        return {info.consumer: info.joined_by for info in listed.consumers}

    mine, theirs = {NAME: OWNER}, {"reports.orders": STRANGER}
    assert await seen("user:olga", "operator") == mine | theirs
    assert await seen(OWNER, "consumer") == mine
    assert await seen(STRANGER, "service") == theirs
    assert await seen("service:a.b", "service") == {}


async def test_the_first_join_of_an_actor_is_a_warning(
    cluster: Cluster, process: Process, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "intent.consumers"):
        first = await cluster.joined(process)
        await cluster.joined(process)
        await first.leave()
        await cluster.joined(process)
    warned = [record.getMessage() for record in caplog.records if "first time" in record.getMessage()]
    assert warned == [f"{OWNER} joins the consumer {NAME} of tenant {ACME} for the first time"]
