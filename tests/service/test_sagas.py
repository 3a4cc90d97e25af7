"""The service intent.v1.Sagas: only sagas of the caller's tenant, repaired only by operators."""

from __future__ import annotations

import pytest
from intent.errors import (
    InvalidCommand,
    NotFound,
    PermissionDenied,
    Rejected,
    Unauthenticated,
)
from intent_contracts.intent.v1 import GetSagaResponse, SagaInfo, SagaReport, SagaStatus, SagaStep

from .support import Served


def _saga(correlation: str, tenant: str = "acme", status: str = "WAITING") -> GetSagaResponse:
    info = SagaInfo(
        id=f"orders.v1.FulfilOrder/{tenant}/{correlation}",
        type="orders.v1.FulfilOrder",
        tenant_id=tenant,
        correlation=correlation,
        status=SagaStatus.Value(f"SAGA_STATUS_{status}"),
    )
    return GetSagaResponse(saga=info, report=SagaReport(steps=[SagaStep(path="1", name="ReserveStock")]))


@pytest.fixture
def sagas(orders: Served) -> Served:
    orders.sagas.sagas = [
        *(_saga(f"o-{number}") for number in range(5)),
        _saga("o-stuck", status="STUCK"),
        _saga("o-other", tenant="other"),
    ]
    return orders


async def test_sagas_are_listed_page_by_page(sagas: Served) -> None:
    client = sagas.client()
    first = await client.sagas.page(page_size=4)
    assert [saga.correlation for saga in first.sagas] == ["o-0", "o-1", "o-2", "o-3"]
    rest = await client.sagas.page(page_size=4, page_token=first.next_page_token)
    assert [saga.correlation for saga in rest.sagas] == ["o-4", "o-stuck"]
    assert rest.next_page_token == b""
    assert len([saga async for saga in client.sagas.every()]) == 6


async def test_a_saga_is_shown_with_its_steps(sagas: Served) -> None:
    response = await sagas.client().sagas.get("orders.v1.FulfilOrder/acme/o-1")
    assert [step.name for step in response.report.steps] == ["ReserveStock"]


async def test_another_tenant_sees_and_changes_nothing(sagas: Served) -> None:
    client = sagas.client("other")
    assert [saga.correlation async for saga in client.sagas.every()] == ["o-other"]
    own = "orders.v1.FulfilOrder/acme/o-stuck"
    with pytest.raises(NotFound):
        await client.sagas.get(own)
    with pytest.raises(NotFound):
        await client.sagas.resume(own)
    with pytest.raises(NotFound):
        await client.sagas.cancel(own, "why not")
    assert sagas.sagas.actions == []


async def test_operators_resume_skip_cancel_and_terminate(sagas: Served) -> None:
    client = sagas.client(actor="user:ann", roles=["operator"])
    stuck = "orders.v1.FulfilOrder/acme/o-stuck"
    await client.sagas.resume(stuck)
    await client.sagas.resume(stuck, skip=True, reason="paid back by hand")
    await client.sagas.cancel("orders.v1.FulfilOrder/acme/o-1", "ticket 88")
    await client.sagas.terminate(stuck, "settled by hand")
    assert sagas.sagas.actions == [
        ("resume", stuck, "user:ann", ""),
        ("skip", stuck, "user:ann", "paid back by hand"),
        ("cancel", "orders.v1.FulfilOrder/acme/o-1", "user:ann", "ticket 88"),
        ("terminate", stuck, "user:ann", "settled by hand"),
    ]
    with pytest.raises(Rejected) as refused:
        await client.sagas.resume("orders.v1.FulfilOrder/acme/o-1")
    assert refused.value.reason == "SAGA_NOT_STUCK"


async def test_services_may_read_but_change_nothing(sagas: Served) -> None:
    service = sagas.client(roles=["service"])
    assert len([saga async for saga in service.sagas.every()]) == 6
    with pytest.raises(PermissionDenied):
        await service.sagas.resume("orders.v1.FulfilOrder/acme/o-stuck")
    with pytest.raises(PermissionDenied):
        await service.sagas.cancel("orders.v1.FulfilOrder/acme/o-stuck", "no")
    with pytest.raises(PermissionDenied):
        await service.sagas.terminate("orders.v1.FulfilOrder/acme/o-stuck", "no")
    customer = sagas.client(roles=["customer"])
    with pytest.raises(PermissionDenied):
        await customer.sagas.page()
    with pytest.raises(PermissionDenied):
        await customer.sagas.get("orders.v1.FulfilOrder/acme/o-1")


async def test_requests_that_break_the_contract_are_refused(sagas: Served) -> None:
    client = sagas.client()
    with pytest.raises(InvalidCommand):
        await client.sagas.cancel("orders.v1.FulfilOrder/acme/o-1", "")
    with pytest.raises(InvalidCommand):
        await client.sagas.terminate("orders.v1.FulfilOrder/acme/o-1", "")
    with pytest.raises(InvalidCommand):
        await client.sagas.page(page_size=501)
    with pytest.raises(Unauthenticated):
        await sagas.client("").sagas.page()
