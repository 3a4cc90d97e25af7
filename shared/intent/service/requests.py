"""Conversion of a call to the router's request, and to entries of the audit."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from intent.auditing import ACTION, REFUSAL, AuditEntry, host_of
from intent.commands.requests import CommandRequest
from intent.contracts import CommandContract
from intent.errors import CommandError
from intent.identity import Identity, is_tenant, may_expect, owner_for
from intent.origin import Origin
from intent.service.servicers.derived_ids import may_use, not_to_be_chosen
from intent.wire.metadata import (
    CAUSATION_ID,
    CORRELATION_ID,
    EXPECTED_VERSION,
    applied_only,
    command_id,
    label,
    malformed,
    number,
)

if TYPE_CHECKING:
    from intent.service.calls import Call

__all__ = ["action_entry", "command_request", "refusal_entry"]

_TARGET: Final = 4000
"""The most characters of what an entry of the audit is about."""


def command_request(contract: CommandContract, command: Message, call: Call) -> CommandRequest:
    """Return the request for a command that came with a call.

    Args:
        contract: The command's contract.
        command: The command, validated.
        call: The call; its `command_id` is set.

    Raises:
        InvalidCommand: A metadata value is malformed, or an id is none that the caller may choose.
        NotTheOwner: The caller may send it only for what is its own, and this is not.
    """
    metadata = call.metadata
    own_id = command_id(metadata)
    if not may_use(own_id, call.identity):
        raise not_to_be_chosen()
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
        expected_version=_expected_version(contract, call),
        applied_only=applied_only(metadata),
        owner=owner_for(call.identity, contract, command),
    )


def _expected_version(contract: CommandContract, call: Call) -> int | None:
    expected = number(call.metadata, EXPECTED_VERSION)
    if expected is not None and not may_expect(call.identity, contract, expected):
        raise malformed(
            EXPECTED_VERSION,
            f"must be 0 or left out: with its roles {call.identity.actor} may send {contract.type} for "
            "itself, but not learn at which version what it names is",
        )
    return expected


def action_entry(call: Call, request: Message, tenant: str) -> AuditEntry:
    """Return the entry for an action that a caller is about to do.

    Args:
        call: The call; its caller is known and may do it.
        request: What it asks for; its field ``reason`` says why, if it has one.
        tenant: The tenant on whose data, which need not be the one that the caller names, or `EVERY_TENANT`.
    """
    fields = MessageToDict(request, preserving_proto_field_name=True)
    reason = fields.pop("reason", "")
    return AuditEntry(
        ACTION,
        call.method,
        actor=call.identity.actor,
        tenant=tenant,
        peer=host_of(call.rpc.peer()),
        reason=reason,
        target=_target(fields),
        correlation_id=label(call.metadata, CORRELATION_ID, ""),
    )


def refusal_entry(
    method: str, metadata: Mapping[str, str], peer: str, caller: Identity | None, error: CommandError
) -> AuditEntry:
    """Return the entry for a call that was refused for want of right.

    Args:
        method: The full name of the method.
        metadata: The caller's metadata, of which only the tenant is taken, where nothing better is known.
        peer: From where, as gRPC writes it.
        caller: The caller; None: it is not known who it is.
        error: The refusal.
    """
    facts = dict(error.metadata)
    named = metadata.get("x-tenant-id", "")
    actor = facts.pop("actor", "") if caller is None else caller.actor
    tenant = (named if is_tenant(named) else "") if caller is None else caller.tenant
    host = host_of(peer)
    return AuditEntry(
        REFUSAL, method, actor=actor, tenant=tenant, peer=host, reason=error.reason, target=_target(facts)
    )


def _target(fields: Mapping[str, Any]) -> str:
    text = json.dumps(fields, sort_keys=True)
    return text if len(text) <= _TARGET else json.dumps({"shortened": text[:_TARGET]})
