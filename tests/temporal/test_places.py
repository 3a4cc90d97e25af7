"""A genuine message is believed at the place it was made for, as the message it is, and only there."""

from __future__ import annotations

from pathlib import Path

import pytest
from intent.temporal import data_converter
from intent.temporal.signing import MAC_INVALID, MAC_MISSING, PayloadRefused, Refusal
from intent_contracts.intent.v1 import CommandEnvelope
from temporalio.converter import ActivitySerializationContext
from temporalio.exceptions import FailureError

from .signed import BATCH, converter, got, opened, sent, turn


def call(activity_id: str | None) -> ActivitySerializationContext:
    return ActivitySerializationContext("default", activity_id, "charge", "q", "payments/1", "P", False)


async def test_an_answer_of_one_call_is_none_of_another(keys: Path) -> None:
    answer = await sent(converter(keys), to=call("2~1"))
    assert await got(converter(keys), answer, call("2~1")) == BATCH
    with turn():
        for other in (call("3~1"), call("2~2"), call(None)):
            with pytest.raises(RuntimeError, match="not of this message at this place"):
                opened(converter(keys), answer, other)


async def test_an_activity_that_temporal_numbers_is_found_without_its_number(keys: Path) -> None:
    answer = await sent(converter(keys), to=call("7"))
    with turn():
        assert opened(converter(keys), answer, call(None)) == BATCH


async def test_a_genuine_message_of_another_type_is_refused(keys: Path) -> None:
    refused: list[Refusal] = []
    ours = converter(keys, refused)
    other = await sent(ours, CommandEnvelope(tenant_id="acme"))
    with pytest.raises(PayloadRefused):
        await got(ours, other)
    with turn(judges=True), pytest.raises(PayloadRefused):
        opened(ours, other)
    assert [(refusal.reason, refusal.what) for refusal in refused] == [
        (MAC_INVALID, "intent.v1.CommandEnvelope")
    ] * 2
    assert (await ours.with_context(call("1")).decode([await sent(ours, None, call("1"))])) == [None]


@pytest.mark.parametrize(("replaying", "continued"), [(True, False), (False, True)])
async def test_a_batch_that_has_begun_waits_for_keys_that_were_changed(
    keys: Path, replaying: bool, continued: bool
) -> None:
    unsigned = await sent(data_converter)
    with turn(age=10_000, replaying=replaying, continued=continued):
        # No failure that the workflow would end with.
        with pytest.raises(RuntimeError, match="no MAC") as raised:
            opened(converter(keys), unsigned)
        assert not isinstance(raised.value, FailureError)
    with turn(), pytest.raises(PayloadRefused) as ended:
        opened(converter(keys), unsigned)
    assert ended.value.type == MAC_MISSING
