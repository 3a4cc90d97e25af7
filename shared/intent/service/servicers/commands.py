"""The generic service intent.v1.Commands."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import Message
from intent_contracts.intent.v1 import (
    CommandResult,
    DescribeRequest,
    DescribeResponse,
    ExecuteRequest,
    GetCommandRequest,
    GetCommandResponse,
    SubmitRequest,
    SubmitResponse,
)

from intent.commands import outcomes
from intent.commands.requests import CommandRequest
from intent.errors import UnknownType
from intent.identity import authorize
from intent.service.calls import Call, Method, read
from intent.service.protocols import CommandRouter, ServedContext
from intent.service.requests import command_request
from intent.service.servicers.derived_ids import may_use
from intent.service.settings import ServiceSettings

__all__ = ["COMMANDS", "CommandsService"]

COMMANDS: Final = "intent.v1.Commands"
_ENVELOPE_BYTES: Final = 1024
"""The most bytes that an ExecuteRequest may have beyond its command."""


@dataclass(frozen=True, slots=True)
class CommandsService:
    """Takes any command of the context and reports its outcome.

    Attributes:
        context: The context.
        router: Routes the commands to their aggregates.
        settings: The limits.
        description: The answer to Describe.
    """

    context: ServedContext
    router: CommandRouter
    settings: ServiceSettings
    description: DescribeResponse

    def methods(self) -> Iterator[Method]:
        """Yield the methods of the service."""
        yield Method(f"/{COMMANDS}/Execute", self._execute)
        yield Method(f"/{COMMANDS}/Submit", self._submit)
        yield Method(f"/{COMMANDS}/GetCommand", self._get_command)
        yield Method(f"/{COMMANDS}/Describe", self._describe, needs_tenant=False)

    async def _execute(self, data: bytes, call: Call) -> CommandResult:
        request = read(ExecuteRequest, data, self.settings.command_bytes + _ENVELOPE_BYTES)
        return await self.router.handle(self._request(request.command, call))

    async def _submit(self, data: bytes, call: Call) -> Message:
        request = read(SubmitRequest, data, self.settings.command_bytes + _ENVELOPE_BYTES)
        submitted = await self.router.submit(self._request(request.command, call))
        return SubmitResponse(command_id=str(submitted.command_id), handle=submitted.handle)

    async def _get_command(self, data: bytes, call: Call) -> Message:
        request = read(GetCommandRequest, data, self.settings.command_bytes)
        command_id = UUID(request.command_id)
        if not may_use(command_id, call.identity):
            raise outcomes.unknown(command_id)
        report = await self.router.outcome(call.identity.tenant, command_id, request.handle)
        return GetCommandResponse(status=report.status, outcome=report.outcome)

    async def _describe(self, data: bytes, call: Call) -> Message:
        read(DescribeRequest, data, self.settings.command_bytes)
        return self.description

    def _request(self, command: AnyMessage, call: Call) -> CommandRequest:
        type_name = command.type_url.rpartition("/")[2]
        contract = self.context.registry.command(type_name)
        if contract.context != self.context.name:
            raise UnknownType(
                "COMMAND_OF_OTHER_CONTEXT",
                f"{type_name} belongs to the context {contract.context}; this is {self.context.name}",
                metadata={"type": type_name, "context": contract.context},
            )
        authorize(call.identity, contract.roles, type_name)
        message = read(contract.message, command.value, self.settings.command_bytes)
        return command_request(contract, message, call)
