"""What it costs that everything that goes over Temporal carries a MAC."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from uuid import uuid4

from intent.temporal import data_converter
from intent.temporal.signing import KeyRing, Signing, signed_converter
from intent.temporal.workflow_kit import command_envelope
from intent_contracts.intent.v1 import CommandBatch
from intent_contracts.orders.v1 import ConfirmOrder
from temporalio.converter import (
    ActivitySerializationContext,
    DataConverter,
    WorkflowSerializationContext,
)

from bench.platform import Platform
from bench.report import Figure

COMMANDS = 64
ROUNDS = 300
PLACES = (
    WorkflowSerializationContext("default", "orders/commands/1"),
    ActivitySerializationContext("default", None, "handle_commands", "q", "orders/commands/1", "P", True),
)
"""Those at which a batch is signed, and verified: the input of its workflow, and of its handle step."""


async def sign_batch(_: Platform) -> Figure:
    """Measure the signing and verifying of a batch on its way, for each command; the best round counts."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "key").write_text(os.urandom(32).hex())
        signed = signed_converter(Signing(KeyRing(folder)))
        many, one = _batch(COMMANDS), _batch(1)
        more = (_round(signed, many) - _round(data_converter, many)) / COMMANDS
        alone = _round(signed, one) - _round(data_converter, one)
    note = f"in a batch of {COMMANDS}; {alone * 1e6:.0f} us for a command alone"
    return Figure(more * 1e6, "us", None, 5, at_most=True, note=note)


def _batch(commands: int) -> CommandBatch:
    envelopes = [
        command_envelope("acme", uuid4(), ConfirmOrder(order_id=uuid4().hex), actor="user:ann")
        for _ in range(commands)
    ]
    return CommandBatch(context="orders", commands=envelopes)


def _round(converter: DataConverter, batch: CommandBatch) -> float:
    """Return the seconds of the fastest round."""
    rounds = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        for place in PLACES:
            sender, receiver = (converter.payload_converter.with_context(place) for _ in range(2))  # type: ignore[attr-defined]
            receiver.from_payloads(sender.to_payloads([batch]), [CommandBatch])
        rounds.append(time.perf_counter() - start)
    return min(rounds)


SCENARIOS = {"sign_batch": sign_batch}
