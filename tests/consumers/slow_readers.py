"""A program that opens streams of a context and does not read them.

Run it with the address, ``subscriptions`` or ``consumers``, and how many. It ends with its input.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import grpc
from intent_contracts.intent.v1 import (
    ConsumeRequest,
    ConsumeResponse,
    Join,
    SubscribeRequest,
    SubscribeResponse,
)

METADATA = (("x-tenant-id", "acme"), ("x-roles", "consumer,service"), ("x-actor", "service:slow"))


async def subscribe(channel: grpc.aio.Channel, number: int) -> Any:
    method = channel.unary_stream("/intent.v1.Events/Subscribe")
    stream = method(SubscribeRequest(follow=True).SerializeToString(), metadata=METADATA)
    assert SubscribeResponse.FromString(await stream.read()).HasField("event")
    return stream


async def consume(channel: grpc.aio.Channel, number: int) -> Any:
    stream = channel.stream_stream("/intent.v1.Consumers/Consume")(metadata=METADATA)
    join = Join(consumer=f"slow.reader-{number}", in_flight=1000)
    await stream.write(ConsumeRequest(join=join).SerializeToString())
    while not ConsumeResponse.FromString(await stream.read()).HasField("delivery"):
        pass
    return stream


async def main(target: str, kind: str, count: str) -> None:
    open_ = subscribe if kind == "subscriptions" else consume
    async with grpc.aio.insecure_channel(target) as channel:
        streams = [await open_(channel, number) for number in range(int(count))]
        sys.stdout.write("reading no more\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.read)
        for stream in streams:
            stream.cancel()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
