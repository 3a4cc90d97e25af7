"""A stream that fails while its first answer is on its way ends with the error, and not with a defect."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from intent.auditing import Auditor, MemoryAudit
from intent.background import Background
from intent.errors import InvalidCommand
from intent.identity import DevIdentityProvider
from intent.service import ServiceSettings
from intent.service.calls import BidiMethod, Call, CallWrapper
from intent.service.open_calls import OpenCalls

METHOD = "/test.v1.Streams/Talk"


async def talk(requests: AsyncIterator[bytes], call: Call) -> None:
    writing = asyncio.create_task(call.write(b"first"))
    # As far as gRPC takes it, which then tells of the end of it in its own time.
    await asyncio.sleep(0)
    writing.cancel()
    await asyncio.gather(writing, return_exceptions=True)
    raise InvalidCommand("OUT_OF_TURN", "only the first message may be join")


async def read_to_the_end(call: Any) -> None:
    while await call.read() is not grpc.aio.EOF:
        pass


async def test_a_stream_that_fails_during_its_first_answer_ends_with_the_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    audit = Auditor(MemoryAudit(), Background())
    wrapper = CallWrapper("test", DevIdentityProvider(dev_mode=True), OpenCalls(ServiceSettings()), audit)
    handler = wrapper.bidirectional(BidiMethod(METHOD, talk))
    server = grpc.aio.server()
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("test.v1.Streams", {"Talk": handler}),)
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        with caplog.at_level(logging.ERROR):
            async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
                call = channel.stream_stream(METHOD)(metadata=(("x-tenant-id", "acme"),), timeout=60)
                await call.done_writing()
                with pytest.raises(grpc.aio.AioRpcError):
                    await read_to_the_end(call)
                assert await call.code() is grpc.StatusCode.INVALID_ARGUMENT
                assert await call.details() == "only the first message may be join"
        assert caplog.records == []
    finally:
        await server.stop(None)
