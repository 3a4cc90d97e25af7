"""Conversion of a call to the router's request."""

from __future__ import annotations

from google.protobuf.message import Message

from intent.commands.requests import CommandRequest
from intent.contracts import CommandContract
from intent.origin import Origin
from intent.service.calls import Call
from intent.wire.metadata import (
    CAUSATION_ID,
    CORRELATION_ID,
    EXPECTED_VERSION,
    applied_only,
    command_id,
    label,
    number,
)

__all__ = ["command_request"]


def command_request(contract: CommandContract, command: Message, call: Call) -> CommandRequest:
    """Return the request for a command that came with a call.

    Args:
        contract: The command's contract.
        command: The command, validated.
        call: The call; its `command_id` is set.

    Raises:
        InvalidCommand: A metadata value is malformed.
    """
    metadata = call.metadata
    own_id = command_id(metadata)
    call.command_id = text = str(own_id)
    correlation_id = label(metadata, CORRELATION_ID, text)
    call.span.command(text, correlation_id)
    return CommandRequest(
        contract=contract,
        command=command,
        origin=Origin(
            tenant=call.identity.tenant,
            command_id=own_id,
            correlation_id=correlation_id,
            causation_id=label(metadata, CAUSATION_ID, ""),
            actor=call.identity.actor,
            trace=call.span.trace,
        ),
        expected_version=number(metadata, EXPECTED_VERSION),
        applied_only=applied_only(metadata),
    )
