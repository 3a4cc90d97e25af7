"""A client whose tokens expire goes on with others, and neither loses nor repeats an event."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from functools import partial
from typing import Any

import pytest
import pytest_asyncio
from intent.client import IntentClient
from intent.client.tokens import FetchedToken, TokenSource
from intent.errors import DeadlineExceeded, Unauthenticated, Unavailable
from intent.identity import Issuer as Trusted
from intent.identity import IssuerKeys, TokenIdentityProvider
from intent.service import expiry
from intent_contracts.intent.v1 import ProjectionStatus, RebuildProjectionResponse, RecordedEvent

from ..service.support import Served, place, served
from ..service.test_expiry import Clock
from ..service.test_subscriptions import until
from ..support.issuer import AUDIENCE, Issuer, running_issuer

LIFE = 3600.0


class Source(TokenSource):
    """Gets tokens for an hour from an issuer; if it does not know the time, contexts say when one is over."""

    def __init__(self, issuer: Issuer, clock: Clock, *, knows_the_time: bool = False) -> None:
        super().__init__("a test", clock=clock if knows_the_time else lambda: 0.0)
        self._issuer = issuer
        self._server_clock = clock
        self.fetches = 0
        self.problem: Exception | None = None
        self.stale = False
        self.tenants: str | None = "acme"

    def fetched_more_than(self, times: int) -> bool:
        return self.fetches > times

    async def fetch(self) -> FetchedToken:
        self.fetches += 1
        if self.problem is not None:
            raise self.problem
        now = self._server_clock()
        exp = now - 1 if self.stale else now + LIFE
        roles = "customer service consumer operator"
        claims: dict[str, Any] = {"tenants": self.tenants, "roles": roles, "jti": str(self.fetches)}
        return FetchedToken(self._issuer.token(exp=exp, iat=now - 2, **claims), LIFE)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    monkeypatch.setattr(expiry, "LOOK", 0.01)
    return Clock()


@pytest_asyncio.fixture
async def issuer() -> AsyncIterator[Issuer]:
    async with running_issuer() as running:
        yield running


@pytest_asyncio.fixture
async def orders(issuer: Issuer, clock: Clock) -> AsyncIterator[Served]:
    async with served(identities=believing(issuer, clock), clock=clock) as serving:
        yield serving


def believing(issuer: Issuer, clock: Clock) -> TokenIdentityProvider:
    trusted = Trusted(name=issuer.url, audiences=frozenset({AUDIENCE}))
    return TokenIdentityProvider([IssuerKeys(trusted)], clock=clock, leeway=0.0)


def calling(orders: Served, source: Any, **options: Any) -> IntentClient:
    return orders.client("", token=source, **options)


async def test_a_call_is_repeated_once_with_another_token(
    orders: Served, issuer: Issuer, clock: Clock
) -> None:
    source = Source(issuer, clock)
    client = calling(orders, source)
    await client.execute(place("o-1"))
    clock.ahead += LIFE + 1
    await client.execute(place("o-2"))
    assert source.fetches == 2
    clock.ahead += LIFE + 1
    await asyncio.gather(*(client.execute(place(f"p-{number}")) for number in range(20)))
    assert source.fetches == 3


async def test_a_second_token_that_has_expired_is_the_callers_to_know(
    orders: Served, issuer: Issuer, clock: Clock
) -> None:
    source = Source(issuer, clock)
    source.stale = True
    client = calling(orders, source)
    with pytest.raises(Unauthenticated) as caught:
        await client.execute(place("o-1"))
    assert (caught.value.reason, source.fetches) == ("TOKEN_EXPIRED", 2)
    events = client.events()
    with pytest.raises(Unauthenticated):
        await anext(events)
    assert source.fetches == 3


async def test_a_token_that_is_given_as_text_is_not_renewed(
    orders: Served, issuer: Issuer, clock: Clock
) -> None:
    client = calling(orders, issuer.token(exp=clock() - 1, tenants="acme", roles="customer"))
    with pytest.raises(Unauthenticated) as caught:
        await client.execute(place("o-1"))
    assert caught.value.reason == "TOKEN_EXPIRED"


async def test_a_source_that_is_unavailable_is_waited_for_within_the_timeout(
    orders: Served, issuer: Issuer, clock: Clock
) -> None:
    source = Source(issuer, clock)
    source.problem = Unavailable("TOKEN_UNAVAILABLE", "there is no token: the issuer is down")
    client = calling(orders, source, timeout=2.0)
    with pytest.raises(DeadlineExceeded, match="the issuer is down"):
        await client.execute(place("o-1"))
    patient = calling(orders, source, timeout=60)
    waiting = asyncio.create_task(patient.execute(place("o-1")))
    await asyncio.sleep(0)
    source.problem = None
    await waiting


async def test_a_subscription_goes_on_with_another_token(
    orders: Served, issuer: Issuer, clock: Clock
) -> None:
    source = Source(issuer, clock)
    client = calling(orders, source)
    seen: list[RecordedEvent] = []
    async with asyncio.timeout(90), aclosing(client.events()) as events:  # type: ignore[type-var]
        for number in range(12):
            await client.execute(place(f"o-{number}"))
            seen.append(await anext(events))
            if number % 3 == 2:
                clock.ahead += LIFE + 1
    assert [event.position for event in seen] == list(range(1, 13))
    assert source.fetches <= 5


async def test_a_subscription_without_events_outlives_many_tokens(
    orders: Served, issuer: Issuer, clock: Clock
) -> None:
    source = Source(issuer, clock)
    client = calling(orders, source)
    async with asyncio.timeout(90), aclosing(client.events()) as events:  # type: ignore[type-var]
        next_event = asyncio.ensure_future(anext(events))
        for renewals in range(4):
            await until(partial(source.fetched_more_than, renewals))
            await until(lambda: bool(orders.server.subscriptions))
            clock.ahead += LIFE + 1
        await client.execute(place("o-1"))
        assert (await next_event).position == 1


async def test_a_subscription_waits_for_a_source_that_is_unavailable(
    orders: Served, issuer: Issuer, clock: Clock
) -> None:
    source = Source(issuer, clock)
    client = calling(orders, source)
    async with asyncio.timeout(90), aclosing(client.events()) as events:  # type: ignore[type-var]
        await client.execute(place("o-1"))
        assert (await anext(events)).position == 1
        source.problem = Unavailable("TOKEN_UNAVAILABLE", "there is no token: the issuer is down")
        clock.ahead += LIFE + 1
        following = asyncio.ensure_future(anext(events))
        tried = source.fetches
        await until(lambda: source.fetches >= tried + 3)
        source.problem = None
        await client.execute(place("o-2"))
        assert (await following).position == 2


async def test_a_rebuild_begins_with_another_token(orders: Served, issuer: Issuer, clock: Clock) -> None:
    source = Source(issuer, clock)
    source.tenants = None
    client = calling(orders, source)
    await client.projections.list()
    clock.ahead += LIFE + 1
    progress = [each async for each in client.projections.rebuild("OrderViews")]
    assert progress[-1].done


@pytest.mark.parametrize("over", [False, True], ids=["goes on", "is over"])
async def test_a_rebuild_that_is_watched_goes_on_with_another_token(
    orders: Served, issuer: Issuer, clock: Clock, *, over: bool
) -> None:
    begun = 0

    async def rebuild(name: str) -> AsyncIterator[RebuildProjectionResponse]:
        nonlocal begun
        begun += 1
        yield RebuildProjectionResponse(position=begun, head=3)
        if begun == 1:
            await asyncio.Event().wait()
        yield RebuildProjectionResponse(position=3, head=3, done=True)

    async def statuses() -> list[ProjectionStatus]:
        return [ProjectionStatus(name="OrderViews", position=3, rebuilding=not over)]

    orders.read_models.rebuild = rebuild  # type: ignore[method-assign]
    orders.read_models.statuses = statuses  # type: ignore[method-assign]
    source = Source(issuer, clock)
    source.tenants = None
    watched = calling(orders, source).projections.rebuild("OrderViews")
    assert (await anext(watched)).position == 1
    clock.ahead += LIFE + 1
    rest = [(each.position, each.done) async for each in watched]
    assert rest == ([(3, True)] if over else [(2, False), (3, True)])
    assert begun == (1 if over else 2)
    assert source.fetches == 2
