"""Messages with MACs, and workflows that take a turn when they get them."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from google.protobuf.timestamp_pb2 import Timestamp
from intent.settings.signing import Window
from intent.temporal.signing import KeyRing, Refusal, Signing, activating, signed_converter
from intent_contracts.intent.v1 import CommandBatch, CommandEnvelope
from temporalio.api.common.v1 import Payload
from temporalio.converter import (
    ActivitySerializationContext,
    DataConverter,
    SerializationContext,
    WorkflowSerializationContext,
)

__all__ = ["BATCH", "HERE", "OTHERS", "add", "converter", "got", "opened", "sent", "turn"]

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
    folder: Path, refused: list[Refusal] | None = None, unsigned: Sequence[Window] = ()
) -> DataConverter:
    report = refused.append if refused is not None else (lambda _: None)
    return signed_converter(Signing(KeyRing(folder), unsigned, report))


async def sent(by: DataConverter, value: Any = BATCH, to: SerializationContext = HERE) -> Payload:
    (payload,) = await by.with_context(to).encode([value])
    return payload


async def got(by: DataConverter, payload: Payload, at: SerializationContext = HERE) -> Any:
    (value,) = await by.with_context(at).decode([payload], [CommandBatch])
    return value


def turn(
    *,
    age: float = 1.0,
    at: float | None = None,
    replaying: bool = False,
    continued: bool = False,
    judges: bool = False,
) -> AbstractContextManager[None]:
    """Be a workflow that takes a turn, as old as this, at this time."""
    stamp = Timestamp()
    stamp.FromDatetime(datetime.fromtimestamp(time.time() if at is None else at, UTC))
    started = stamp.ToDatetime(UTC) - timedelta(seconds=age)
    before = "the run before" if continued else None
    info = SimpleNamespace(workflow_id=HERE.workflow_id, start_time=started, continued_run_id=before)
    act = SimpleNamespace(timestamp=stamp, is_replaying=replaying)
    return activating(act, cast("Any", info), judges=judges)


def opened(by: DataConverter, payload: Payload, at: SerializationContext = HERE) -> Any:
    return by.payload_converter.with_context(at).from_payloads([payload], [CommandBatch])[0]  # type: ignore[attr-defined]
