"""What goes over Temporal carries a MAC for its place, and nothing else is believed."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from intent.errors import ConfigurationError
from intent.settings.config import load_settings
from intent.temporal import data_converter
from intent.temporal.connection import connect_temporal
from intent.temporal.signing import (
    MAC_INVALID,
    MAC_KEY_UNKNOWN,
    MAC_MISSING,
    KeyUnknown,
    PayloadRefused,
    Refusal,
)
from intent_contracts.intent.v1 import CommandBatch
from temporalio.common import RawValue
from temporalio.exceptions import FailureError

from ..support.command_path import eventually
from .signed import BATCH, HERE, OTHERS, add, converter, got, opened, sent, turn


async def test_what_one_process_sends_another_believes(keys: Path) -> None:
    for context in (HERE, *OTHERS):
        assert await got(converter(keys), await sent(converter(keys), to=context), context) == BATCH
    for value in (None, 7, "text", b"bytes", {"a": [1]}):
        payload = await sent(converter(keys), value)
        assert await converter(keys).with_context(HERE).decode([payload]) == [value]


async def test_it_is_believed_nowhere_else(keys: Path) -> None:
    refused: list[Refusal] = []
    payload = await sent(converter(keys))
    for other in OTHERS[:2]:
        with pytest.raises(PayloadRefused, match="not of this message at this place"):
            await got(converter(keys, refused), payload, other)
    for other in OTHERS[2:]:
        # Here a worker calls an activity; what stands for the argument has the call refused.
        assert not isinstance(await got(converter(keys, refused), payload, other), CommandBatch)
    assert [refusal.reason for refusal in refused] == [MAC_INVALID] * len(OTHERS)


async def test_nothing_of_it_can_be_changed(keys: Path) -> None:
    changed = await sent(converter(keys))
    changed.data = changed.data.replace(b"acme", b"evil")
    retyped = await sent(converter(keys))
    retyped.metadata["messageType"] = b"intent.v1.BatchHandled"
    shortened = await sent(converter(keys))
    shortened.metadata["intent-mac"] = shortened.metadata["intent-mac"][:8]
    for payload in (changed, retyped, shortened):
        with pytest.raises(PayloadRefused) as raised:
            await got(converter(keys), payload)
        assert raised.value.type == MAC_INVALID
        assert raised.value.non_retryable


async def test_without_a_mac_nothing_is_believed(keys: Path) -> None:
    refused: list[Refusal] = []
    with pytest.raises(PayloadRefused, match=r"carries no MAC.*INTENT_TEMPORAL_KEYS"):
        await got(converter(keys, refused), await sent(data_converter))
    (refusal,) = refused
    assert (refusal.reason, refusal.what, refusal.place, refusal.workflow_id) == (
        MAC_MISSING,
        "intent.v1.CommandBatch",
        "workflow",
        "orders/commands/1",
    )


async def test_processes_without_keys_read_what_carries_a_mac(keys: Path) -> None:
    assert await got(data_converter, await sent(converter(keys))) == BATCH


async def test_a_payload_that_is_passed_on_stays_as_it_is(keys: Path) -> None:
    forged = await sent(data_converter)
    passed = await sent(converter(keys), RawValue(forged))
    assert passed == forged
    (raw,) = await converter(keys).with_context(HERE).decode([forged], [RawValue])
    assert raw.payload == forged


async def test_a_key_that_may_come_is_waited_for(keys: Path, tmp_path: Path) -> None:
    add(tmp_path / "theirs", "2027-01")
    payload = await sent(converter(tmp_path / "theirs"), to=OTHERS[2])
    refused: list[Refusal] = []
    ours = converter(keys, refused)
    with pytest.raises(KeyUnknown, match="add the key"):
        await got(ours, payload, OTHERS[2])
    assert [refusal.reason for refusal in refused] == [MAC_KEY_UNKNOWN]

    add(keys, "2027-01")

    async def believed() -> bool:
        with suppress(KeyUnknown):
            return bool(await got(ours, payload, OTHERS[2]) == BATCH)
        return False

    await eventually(believed, 60)


async def test_a_process_without_its_key_does_not_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        await connect_temporal(load_settings(temporal_keys=str(tmp_path / "none")))


async def test_a_forged_answer_does_not_end_a_workflow_that_has_begun(keys: Path) -> None:
    ours = converter(keys)
    with turn():
        for other in (OTHERS[0], OTHERS[2]):
            # As the result of a child, and of an activity: no failure that workflows can end with.
            with pytest.raises(RuntimeError, match="no MAC") as raised:
                opened(ours, await sent(data_converter), other)
            assert not isinstance(raised.value, FailureError)
        with pytest.raises(PayloadRefused):
            opened(ours, await sent(data_converter))


async def test_a_start_by_an_unknown_key_is_waited_for_an_hour(keys: Path, tmp_path: Path) -> None:
    add(tmp_path / "theirs", "2027-01")
    payload = await sent(converter(tmp_path / "theirs"))
    with turn(age=60), pytest.raises(KeyUnknown):
        opened(converter(keys), payload)
    with turn(age=4000), pytest.raises(PayloadRefused) as raised:
        opened(converter(keys), payload)
    assert raised.value.type == MAC_KEY_UNKNOWN
