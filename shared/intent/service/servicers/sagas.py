"""The service intent.v1.Sagas: for operators, and for services that follow a trace."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from google.protobuf.message import Message
from intent_contracts.intent.v1 import (
    CancelSagaRequest,
    CancelSagaResponse,
    GetSagaRequest,
    ListSagasRequest,
    ResumeSagaRequest,
    ResumeSagaResponse,
    TerminateSagaRequest,
    TerminateSagaResponse,
)

from intent.auditing import Auditor
from intent.service.calls import Call, Method, read
from intent.service.protocols import SagaOperator
from intent.service.requests import action_entry

__all__ = ["SAGAS", "SagasService"]

SAGAS: Final = "intent.v1.Sagas"


@dataclass(frozen=True, slots=True)
class SagasService:
    """Lists, resumes, cancels and terminates sagas, only those of the caller's tenant.

    Attributes:
        operator: Performs the operations.
        readers: The roles of which a caller needs one to read.
        operators: The roles of which a caller needs one to resume, cancel or terminate.
        audit: Records what they do.
    """

    operator: SagaOperator
    readers: frozenset[str]
    operators: frozenset[str]
    audit: Auditor

    def methods(self) -> Iterator[Method]:
        """Yield the methods of the service."""
        yield Method(f"/{SAGAS}/ListSagas", self._list, self.readers)
        yield Method(f"/{SAGAS}/GetSaga", self._get, self.readers)
        yield Method(f"/{SAGAS}/ResumeSaga", self._resume, self.operators)
        yield Method(f"/{SAGAS}/CancelSaga", self._cancel, self.operators)
        yield Method(f"/{SAGAS}/TerminateSaga", self._terminate, self.operators)

    async def _list(self, data: bytes, call: Call) -> Message:
        return await self.operator.page(call.identity.tenant, read(ListSagasRequest, data))

    async def _get(self, data: bytes, call: Call) -> Message:
        return await self.operator.get(call.identity.tenant, read(GetSagaRequest, data).id)

    async def _resume(self, data: bytes, call: Call) -> Message:
        identity, request = call.identity, read(ResumeSagaRequest, data)
        await self.audit.acted(action_entry(call, request, identity.tenant))
        await self.operator.resume(identity.tenant, request, identity.actor)
        return ResumeSagaResponse()

    async def _cancel(self, data: bytes, call: Call) -> Message:
        identity, request = call.identity, read(CancelSagaRequest, data)
        await self.audit.acted(action_entry(call, request, identity.tenant))
        await self.operator.cancel(identity.tenant, request, identity.actor)
        return CancelSagaResponse()

    async def _terminate(self, data: bytes, call: Call) -> Message:
        identity, request = call.identity, read(TerminateSagaRequest, data)
        await self.audit.acted(action_entry(call, request, identity.tenant))
        await self.operator.terminate(identity.tenant, request, identity.actor)
        return TerminateSagaResponse()
