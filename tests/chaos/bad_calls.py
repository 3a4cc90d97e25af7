"""Calls that must fail, of every kind: each is made a number of times, many at once."""

from __future__ import annotations

import asyncio
import itertools
import os
import socket
import struct
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import grpc
from intent_contracts.intent.v1 import ExecuteRequest, SubscribeRequest
from intent_contracts.orders.v1 import CancelOrder, ConfirmOrder, GetOrder, ListOrders, PlaceOrder

__all__ = ["AT_ONCE", "BAD_CALLS", "Flood"]

_KIB: Final = 1024
AT_ONCE: Final = 64
_STREAMS_AT_ONCE: Final = 200
_CHANNELS: Final = 4
_PATIENCE: Final = 30.0
_RAW_PATIENCE: Final = 0.2
_PLACE: Final = "/orders.v1.Orders/PlaceOrder"
_CANCEL: Final = "/orders.v1.Orders/CancelOrder"
_CONFIRM: Final = "/orders.v1.Orders/ConfirmOrder"
_GET: Final = "/orders.v1.Orders/GetOrder"
_LIST: Final = "/orders.v1.Orders/ListOrders"
_EXECUTE: Final = "/intent.v1.Commands/Execute"
_SUBSCRIBE: Final = "/intent.v1.Events/Subscribe"
_WATCH: Final = "/grpc.health.v1.Health/Watch"
_REFLECTION: Final = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
_ACME: Final = (("x-tenant-id", "acme"),)
_HTTP2: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_SETTINGS: Final = b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"
_OPTIONS: Final = (
    ("grpc.max_send_message_length", -1),
    ("grpc.enable_retries", 0),
    ("grpc.use_local_subchannel_pool", 1),
)
Pairs = tuple[tuple[str, str], ...]


@dataclass
class Flood:
    """Callers of one process.

    Attributes:
        host: Where the process listens.
        port: Its port.
        codes: How often each status was the answer; those of connections have none.
        at_once: The most calls at once.
    """

    host: str
    port: int
    codes: Counter[str] = field(default_factory=Counter)
    at_once: int = AT_ONCE

    async def __aenter__(self) -> Flood:
        self._channels = [
            grpc.aio.insecure_channel(f"{self.host}:{self.port}", options=_OPTIONS) for _ in range(_CHANNELS)
        ]
        self._turns = itertools.cycle(self._channels)
        return self

    async def __aexit__(self, *_: object) -> None:
        for channel in self._channels:
            await channel.close()

    async def call(
        self,
        method: str,
        data: bytes,
        metadata: Pairs = _ACME,
        timeout: float = _PATIENCE,
        compression: grpc.Compression | None = None,
    ) -> None:
        """Make a call and count its status."""
        rpc = next(self._turns).unary_unary(method)
        try:
            await rpc(data, metadata=metadata, timeout=timeout, compression=compression)
            self.codes["OK"] += 1
        except grpc.aio.AioRpcError as error:
            self.codes[error.code().name] += 1

    async def times(
        self, number: int, one: Callable[[int], Awaitable[object]], at_once: int = AT_ONCE
    ) -> None:
        """Do something a number of times, many at once."""
        numbers = iter(range(number))

        async def caller() -> None:
            for n in numbers:
                await one(n)

        await asyncio.gather(*(caller() for _ in range(min(at_once, self.at_once, number))))

    async def raw(self, data: bytes, *, reset: bool = False) -> None:
        """Connect, send bytes, and close; `reset` closes as a host that vanishes does."""
        reader, writer = await asyncio.open_connection(self.host, self.port)
        try:
            writer.write(data)
            await writer.drain()
            if reset:
                connection = writer.get_extra_info("socket")
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            else:
                await asyncio.wait_for(reader.read(_KIB), _RAW_PATIENCE)
        except (ConnectionError, TimeoutError):
            pass
        finally:
            writer.close()

    async def streams(self, number: int, kind: str, method: str, data: bytes, pairs: Pairs) -> None:
        """Open streams, many at once and each with a caller of its own; never read, and end them."""
        for first in range(0, number, _STREAMS_AT_ONCE):
            calls = [
                getattr(next(self._turns), kind)(method)(
                    *((data,) if kind == "unary_stream" else ()),
                    metadata=(*pairs, ("x-actor", f"caller-{n % 7}")),
                )
                for n in range(first, min(number, first + _STREAMS_AT_ONCE))
            ]
            await asyncio.gather(*(_opened(call, data, kind) for call in calls))
            for call in calls:
                call.cancel()
            self.codes["CANCELLED"] += len(calls)


async def _opened(call: Any, data: bytes, kind: str) -> None:
    """Wait until a stream has begun."""
    try:
        if kind == "stream_stream":
            await call.write(data)
        async with asyncio.timeout(0.2):
            await call.initial_metadata()
    except (TimeoutError, grpc.aio.AioRpcError, asyncio.InvalidStateError):
        return


Bad = Callable[[Flood, int], Awaitable[None]]


def _calling(
    method: str, make: Callable[[int], bytes], metadata: Callable[[int], Pairs] = lambda n: _ACME
) -> Bad:
    async def flood(flood: Flood, number: int) -> None:
        await flood.times(number, lambda n: flood.call(method, make(n), metadata(n)))

    return flood


def _with(**pairs: str) -> Pairs:
    return (*_ACME, *((name.replace("_", "-"), value) for name, value in pairs.items()))


def _confirm(n: int) -> bytes:
    return ConfirmOrder(order_id=f"none-{n}").SerializeToString()


async def _too_large(flood: Flood, number: int) -> None:
    data = PlaceOrder(order_id="o" * 600 * _KIB).SerializeToString()
    await flood.times(number, lambda n: flood.call(_PLACE, data), at_once=16)


async def _inflated(flood: Flood, number: int) -> None:
    data = b"\x0a" + b"\x80\x80\x40" + bytes(1024 * _KIB)
    await flood.times(
        number, lambda n: flood.call(_PLACE, data, compression=grpc.Compression.Gzip), at_once=4
    )


async def _cancelled(flood: Flood, number: int) -> None:
    async def one(n: int) -> None:
        call = next(flood._turns).unary_unary(_CONFIRM)(_confirm(n % 500), metadata=_ACME)
        await asyncio.sleep(0.001 * (n % 5))
        call.cancel()
        flood.codes["CANCELLED"] += 1

    await flood.times(number, one)


async def _no_time(flood: Flood, number: int) -> None:
    await flood.times(number, lambda n: flood.call(_CONFIRM, _confirm(n % 500), timeout=0.001 * (n % 3)))


async def _half_open(flood: Flood, number: int) -> None:
    starts = (b"", _HTTP2[:10], _HTTP2, _HTTP2 + _SETTINGS, _HTTP2 + _SETTINGS[:4])
    await flood.times(number, lambda n: flood.raw(starts[n % len(starts)], reset=True), at_once=16)


async def _wrong_preface(flood: Flood, number: int) -> None:
    starts = (b"GET / HTTP/1.1\r\nhost: x\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc", os.urandom(200))
    await flood.times(number, lambda n: flood.raw(starts[n % len(starts)]), at_once=16)


async def _wrong_frames(flood: Flood, number: int) -> None:
    await flood.times(number, lambda n: flood.raw(_HTTP2 + _SETTINGS + os.urandom(400)), at_once=16)


async def _unknown_methods(flood: Flood, number: int) -> None:
    await flood.times(number, lambda n: flood.call(f"/orders.v1.Orders{n % 50}/Method{n}", b"x"))


def _nested(depth: int) -> bytes:
    """Return groups in groups, of a field that no contract knows."""
    return b"\x7b" * depth + b"\x7c" * depth


_LINES = b"\x1a\x00" * 131_000
_UNKNOWN = b"".join(b"\xfa\x7d\x04spam" for _ in range(30_000))
_ANY = ExecuteRequest()
_ANY.command.type_url, _ANY.command.value = "type.googleapis.com/orders.v1.Nothing", b"\x08\x01"
_LONG = PlaceOrder(order_id="\u202e" * 80_000).SerializeToString()
_FOLLOW = SubscribeRequest(follow=True).SerializeToString()
_LATER = SubscribeRequest(after_position=2**62, follow=True).SerializeToString()
BAD_CALLS: Final[Mapping[str, Bad]] = {
    "too-large": _too_large,
    "inflated": _inflated,
    "malformed": _calling(_PLACE, lambda n: b"\x0a\xff" + bytes([n % 256]) * 300),
    "invalid-utf8": _calling(_PLACE, lambda n: b"\x0a\x04\xff\xfe" + bytes([128 + n % 100]) * 2),
    "unknown-fields": _calling(_PLACE, lambda n: _UNKNOWN),
    "nested": _calling(_PLACE, lambda n: _nested(100_000)),
    "empty-lines": _calling(_PLACE, lambda n: _LINES),
    "long-texts": _calling(_PLACE, lambda n: _LONG),
    "unknown-types": _calling(_EXECUTE, lambda n: _ANY.SerializeToString()),
    "rejected": _calling(_CONFIRM, lambda n: _confirm(n % 2_000)),
    "invalid-metadata": _calling(
        _CONFIRM,
        _confirm,
        lambda n: _with(x_command_id=f"no-{n}", x_expected_version="-1", traceparent="00-" + "x" * 4_000),
    ),
    "duplicate-metadata": _calling(_CONFIRM, _confirm, lambda n: (*_ACME, ("x-tenant-id", f"t-{n}"))),
    "unknown-methods": _unknown_methods,
    "unknown-tenants": _calling(
        _GET, lambda n: GetOrder(order_id="none").SerializeToString(), lambda n: (("x-tenant-id", f"t-{n}"),)
    ),
    "no-tenant": _calling(_CONFIRM, _confirm, lambda n: ()),
    "no-role": _calling(_CONFIRM, _confirm, lambda n: _with(x_roles=f"nobody-{n}")),
    "not-the-owner": _calling(
        _CANCEL,
        lambda n: CancelOrder(order_id=f"none-{n % 50}", reason="not mine").SerializeToString(),
        lambda n: _with(x_actor=f"user:nobody-{n % 50}", x_roles="customer"),
    ),
    "page-tokens": _calling(
        _LIST, lambda n: ListOrders(customer_id="ann", page_token=f"{n}" * 200).SerializeToString()
    ),
    "cancelled": _cancelled,
    "no-time": _no_time,
    "unread-streams": lambda flood, number: flood.streams(number, "unary_stream", _SUBSCRIBE, _FOLLOW, _ACME),
    "positions-beyond": lambda flood, number: flood.streams(
        number, "unary_stream", _SUBSCRIBE, _LATER, _ACME
    ),
    "health-watchers": lambda flood, number: flood.streams(number, "unary_stream", _WATCH, b"", ()),
    "reflection": lambda flood, number: flood.streams(
        number, "stream_stream", _REFLECTION, b"\x22\x04none", ()
    ),
    "half-open": _half_open,
    "wrong-preface": _wrong_preface,
    "wrong-frames": _wrong_frames,
}
"""What floods a process, by name: makes a number of calls of one kind."""
