"""A correlation finds its batches, however many others they carry."""

from __future__ import annotations

import re

from intent.ids import new_id
from intent.temporal.attributes import CORRELATION_IDS, TENANTS, batch_attributes, correlation_query
from intent_contracts.intent.v1 import CommandEnvelope


def _forms(correlation: str) -> set[str]:
    return set(re.findall('"([^"]*)"', correlation_query(correlation)))


def test_of_a_large_batch_a_correlation_finds_its_own_and_not_all_of_its_time() -> None:
    ids = [str(new_id()) for _ in range(256)]
    attributes = batch_attributes("orders", [CommandEnvelope(tenant_id="a", correlation_id=i) for i in ids])
    listed = attributes[CORRELATION_IDS]
    assert all(_forms(correlation) & set(listed) for correlation in ids)
    strangers = [str(new_id()) for _ in range(256)]
    assert sum(bool(_forms(correlation) & set(listed)) for correlation in strangers) < 10
    assert sum(map(len, listed)) < 2048


def test_tenants_of_a_large_batch_are_shortened_to_their_beginnings() -> None:
    tenants = [f"{number:04}-{'x' * 40}" for number in range(256)]
    commands = [CommandEnvelope(tenant_id=tenant, correlation_id="c") for tenant in tenants]
    listed = batch_attributes("orders", commands)[TENANTS]
    assert all(any(tenant.startswith(short) for short in listed) for tenant in tenants)
