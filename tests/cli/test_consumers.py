"""`intent consumers`: a consumer that waits for what never comes is pointed out."""

from __future__ import annotations

import json

from intent_contracts.intent.v1 import ConsumerInfo, ListConsumersResponse

from .running import intent
from .test_incomplete import serving

_WAITING = ConsumerInfo(
    consumer="a.waiting", instances=1, unknown_types=["orders.v1.OrderPlacd"], joined_by="service:a"
)
_ANSWERS = {"ListConsumers": ListConsumersResponse(consumers=[_WAITING, ConsumerInfo(consumer="a.busy")])}


def test_types_that_the_context_does_not_define_are_named_with_a_hint() -> None:
    with serving(_ANSWERS) as target:
        listed = intent("consumers", "list", "--target", f"orders={target}", "-t", "acme")
        plain = intent("consumers", "list", "--json", "--target", f"orders={target}", "-t", "acme")
    assert listed.code == 0, listed.err
    assert [line for line in listed.out.splitlines() if "a.waiting" in line and "service:a" in line]
    (hint,) = [line for line in listed.out.splitlines() if "waits for" in line]
    assert hint.startswith("a.waiting waits for orders.v1.OrderPlacd, which no contract of orders defines")
    waiting, busy = json.loads(plain.out)
    assert waiting["joined_by"] == "service:a"
    assert waiting["unknown_types"] == ["orders.v1.OrderPlacd"]
    assert "unknown_types" not in busy
