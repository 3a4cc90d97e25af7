"""What goes over Temporal carries a MAC for its place, and nothing else is believed."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from intent.errors import ConfigurationError
from intent.settings.config import load_settings
from intent.temporal import data_converter
from intent.temporal.connection import connect_temporal
from intent.temporal.signing import (
    MAC_INVALID,
    MAC_KEY_UNKNOWN,
    MAC_MISSING,
    KeyRing,
    KeyUnknown,
    PayloadRefused,
    Refusal,
    Signing,
    activating,
    signed_converter,
)
from intent_contracts.intent.v1 import CommandBatch, CommandEnvelope
from temporalio.api.common.v1 import Payload
from temporalio.common import RawValue
from temporalio.converter import (
    ActivitySerializationContext,
    DataConverter,
    SerializationContext,
    WorkflowSerializationContext,
)
from temporalio.exceptions import FailureError

from ..support.command_path import eventually

BATCH = CommandBatch(context="orders", commands=[CommandEnvelope(tenant_id="acme", data=b"as it was")])
HERE = WorkflowSerializationContext("default", "orders/commands/1")
OTHERS: Sequence[SerializationContext] = (
    WorkflowSerializationContext("default", "orders/commands/2"),
    WorkflowSerializationContext("another", "orders/commands/1"),
    ActivitySerializationContext("default", "1", "handle_commands", "q", "orders/commands/1", "P", True),
    ActivitySerializationContext("default", "1", "handle_commands", "q", "orders/commands/1", "P", False),
    ActivitySerializationContext("default", "1", "route_command", "q", "orders/commands/1", "P", True),
)


def add(folder: Path, name: str, *, age: float = 3600.0) -> Path:
    """Add a key that has been there for some seconds."""
    folder.mkdir(exist_ok=True)
    file = folder / name
    file.write_text(f"the key {name} of this test".ljust(40, "."))
    os.utime(file, (time.time() - age,) * 2)
    return file


def converter(
    folder: Path, refused: list[Refusal] | None = None, until: datetime | None = None
) -> DataConverter:
    report = refused.append if refused is not None else (lambda _: None)
    return signed_converter(Signing(KeyRing(folder), until, report))


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    add(tmp_path / "keys", "2026-11")
    return tmp_path / "keys"


async def sent(by: DataConverter, value: Any = BATCH, to: SerializationContext = HERE) -> Payload:
    (payload,) = await by.with_context(to).encode([value])
    return payload


async def got(by: DataConverter, payload: Payload, at: SerializationContext = HERE) -> Any:
    (value,) = await by.with_context(at).decode([payload], [CommandBatch])
    return value


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


async def test_what_carries_no_mac_is_believed_until_a_moment(keys: Path) -> None:
    soon, before = datetime.now(UTC) + timedelta(hours=1), datetime.now(UTC) - timedelta(seconds=1)
    assert await got(converter(keys, until=soon), await sent(data_converter)) == BATCH
    with pytest.raises(PayloadRefused):
        await got(converter(keys, until=before), await sent(data_converter))
    forged = await sent(data_converter)
    forged.metadata["intent-mac"] = b"x" * 40
    with pytest.raises(PayloadRefused):
        await got(converter(keys, until=soon), forged)


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


def signer(folder: Path) -> str:
    return KeyRing(folder).signer().name


def test_a_new_key_signs_once_every_process_has_it(keys: Path) -> None:
    add(keys, "2027-01", age=10)
    assert signer(keys) == "2026-11"
    add(keys, "2027-01", age=600)
    assert signer(keys) == "2027-01"
    # A pod that has just started has both files since a moment ago.
    add(keys, "2026-11", age=1)
    add(keys, "2027-01", age=1)
    assert signer(keys) == "2026-11"
    (keys / "2026-11").unlink()
    assert signer(keys) == "2027-01"


def test_files_of_a_kubelet_are_read_as_it_writes_them(tmp_path: Path) -> None:
    folder = tmp_path / "mounted"
    add(tmp_path / "mounted", "unused").unlink()
    add(folder / "..2026", "2026-11")
    (folder / "..data").symlink_to("..2026")
    (folder / "2026-11").symlink_to("..data/2026-11")
    assert [key.name for key in KeyRing(folder).keys.values()] == ["2026-11"]


def test_a_key_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    with pytest.raises(ConfigurationError, match="of INTENT_TEMPORAL_KEYS cannot be read"):
        KeyRing(folder)
    folder.mkdir()
    with pytest.raises(ConfigurationError, match="folder without a key; make one with: openssl rand"):
        KeyRing(folder)
    (folder / "short").write_text("secret")
    with pytest.raises(
        ConfigurationError, match=r"short of INTENT_TEMPORAL_KEYS has 6 bytes.*openssl"
    ) as raised:
        KeyRing(folder)
    assert "secret" not in str(raised.value)


def test_no_key_is_shown(keys: Path) -> None:
    ring = KeyRing(keys)
    assert "of this test" not in repr(ring.signer())
    assert ring.signer().id not in ring.signer().secret


async def test_a_process_without_its_key_does_not_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        await connect_temporal(load_settings(temporal_keys=str(tmp_path / "none")))


def test_half_of_the_settings_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="set INTENT_TEMPORAL_KEYS as well"):
        load_settings(temporal_unsigned_until="2027-01-31T12:00:00Z")
    with pytest.raises(ConfigurationError, match="INTENT_TEMPORAL_UNSIGNED_UNTIL"):
        load_settings(temporal_keys="keys", temporal_unsigned_until="tomorrow")


def turn(*, age: float = 1.0, at: float | None = None) -> AbstractContextManager[None]:
    """Be a workflow that takes a turn, as old as this, at this time."""
    stamp = Timestamp()
    stamp.FromDatetime(datetime.fromtimestamp(time.time() if at is None else at, UTC))
    started = stamp.ToDatetime(UTC) - timedelta(seconds=age)
    info = SimpleNamespace(workflow_id=HERE.workflow_id, start_time=started)
    return activating(SimpleNamespace(timestamp=stamp, is_replaying=False), cast("Any", info))


def opened(by: DataConverter, payload: Payload, at: SerializationContext = HERE) -> Any:
    return by.payload_converter.with_context(at).from_payloads([payload], [CommandBatch])[0]  # type: ignore[attr-defined]


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


async def test_a_replay_decides_as_the_workflow_did(keys: Path) -> None:
    until = datetime.now(UTC) - timedelta(days=1)
    ours, unsigned = converter(keys, until=until), await sent(data_converter)
    with turn(at=until.timestamp() - 1):
        assert opened(ours, unsigned) == BATCH
    with turn(at=until.timestamp() + 1), pytest.raises(PayloadRefused):
        opened(ours, unsigned)
