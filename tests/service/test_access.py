"""Whatever can be called stands in the table of who may call it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from google.protobuf.descriptor_pool import Default
from intent.errors import ConfigurationError
from intent.service import ServiceSettings
from intent.service.calls import Method
from intent.service.servicers.access import access_rows, listed, platform_access

from .support import REGISTRY, Served

SERVICES = ("Audit", "Commands", "Consumers", "Events", "Projections", "Sagas")


def platform_methods() -> Iterator[str]:
    for name in SERVICES:
        service = Default().FindServiceByName(f"intent.v1.{name}")
        yield from (f"/{service.full_name}/{method.name}" for method in service.methods)


def test_every_command_query_and_platform_method_stands_in_a_row() -> None:
    callable_ = {*REGISTRY.commands, *REGISTRY.queries, *platform_methods()}
    assert {row.name for row in access_rows(REGISTRY)} >= callable_


def test_the_rows_say_what_the_contracts_say() -> None:
    rows = access_rows(REGISTRY)
    customer = {row.name: row.limit for row in rows if row.role == "customer" and row.context == "orders"}
    assert customer == {
        "orders.v1.PlaceOrder": "own only: customer_id is the caller",
        "orders.v1.CancelOrder": "own only: customer_id of its state is the caller",
        "orders.v1.ChangeLine": "own only: customer_id of its state is the caller",
        "orders.v1.CheckOutOrder": "own only: customer_id of its state is the caller",
        "orders.v1.GetOrder": "own only: customer_id of the rows is the caller",
        "orders.v1.ListOrders": "own only: customer_id of the rows is the caller",
    }
    assert {row.limit for row in rows if row.role == "service" and row.context} == {""}


async def test_every_method_that_is_served_stands_in_a_row(orders: Served) -> None:
    served = {name for name in orders.server._table.names if name.startswith("/intent.")}
    assert served
    assert served <= platform_access(ServiceSettings()).keys()


def test_what_is_open_to_every_caller_stands_in_a_row_for_any() -> None:
    anybody: frozenset[str] = frozenset()
    settings = ServiceSettings(event_roles=anybody, operator_roles=anybody, saga_roles=anybody)
    rows = {row.name: row.role for row in access_rows(REGISTRY, settings) if not row.context}
    assert rows.keys() >= set(platform_methods())
    assert {rows[name] for name in platform_methods() if "/intent.v1.Consumers/" not in name} == {"*"}


@pytest.mark.parametrize(
    ("name", "roles"),
    [("/intent.v1.Commands/Invented", ()), ("/intent.v1.Sagas/CancelSaga", ("service",))],
)
def test_a_method_that_nobody_thought_of_is_not_served(name: str, roles: tuple[str, ...]) -> None:
    async def answer(*_: object) -> None:
        raise AssertionError

    method = Method(name, answer, frozenset(roles))  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="give it a row there"):
        list(listed([method], ServiceSettings()))
