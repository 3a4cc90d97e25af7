"""Plain gRPC calls, as any client makes them: bytes, metadata, status."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from intent_contracts.intent.v1 import ExecuteRequest

from .support import Served


@dataclass
class Answer:
    """The answer to a call.

    Attributes:
        code: The status code.
        data: The answer's bytes.
        message: The status message.
        trailers: The trailing metadata.
    """

    code: grpc.StatusCode
    data: bytes
    message: str
    trailers: dict[str, Any]

    @property
    def status(self) -> status_pb2.Status:
        return status_pb2.Status.FromString(self.trailers["grpc-status-details-bin"])

    @property
    def info(self) -> error_details_pb2.ErrorInfo:
        return self._detail(error_details_pb2.ErrorInfo())

    @property
    def fields(self) -> dict[str, str]:
        bad = self._detail(error_details_pb2.BadRequest())
        return {violation.field: violation.description for violation in bad.field_violations}

    @property
    def retry_after_ms(self) -> int:
        return int(self._detail(error_details_pb2.RetryInfo()).retry_delay.ToMilliseconds())

    def _detail(self, detail: Any) -> Any:
        assert any(any_.Unpack(detail) for any_ in self.status.details), f"no {detail.DESCRIPTOR.name}"
        return detail


def execute(command: Message) -> bytes:
    """Return the request of the generic methods that carries a command."""
    request = ExecuteRequest()
    request.command.Pack(command)
    return request.SerializeToString()


async def call(
    orders: Served, method: str, data: bytes = b"", timeout: float | None = 20, **metadata: str
) -> Answer:
    """Call a unary method; metadata names have underscores for dashes."""
    metadata.setdefault("x_tenant_id", "acme")
    pairs = tuple((key.replace("_", "-"), value) for key, value in metadata.items() if value is not None)
    options = [("grpc.max_send_message_length", -1)]
    async with grpc.aio.insecure_channel(orders.server.target, options=options) as channel:
        rpc = channel.unary_unary(method)(data, metadata=pairs, timeout=timeout)
        try:
            answer = await rpc
        except grpc.aio.AioRpcError as error:
            trailers = dict(error.trailing_metadata() or ())
            return Answer(error.code(), b"", error.details() or "", trailers)
        trailers = dict(await rpc.trailing_metadata() or ())
        return Answer(await rpc.code(), answer, "", trailers)


async def reflected(channel: grpc.aio.Channel, *metadata: tuple[str, str]) -> grpc.StatusCode:
    """Return the status with which reflection answers a question."""
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)
    call = stub.ServerReflectionInfo(
        iter([reflection_pb2.ServerReflectionRequest(list_services="")]), metadata=metadata
    )
    with suppress(grpc.aio.AioRpcError):
        _ = [answer async for answer in call]
    code: grpc.StatusCode = await call.code()
    return code
