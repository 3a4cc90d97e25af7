"""The gRPC channel of the client."""

from __future__ import annotations

import asyncio
from typing import Any, Final

import grpc
from google.protobuf.message import Message

from intent.addresses import is_local
from intent.client.positions import HandedPositions
from intent.errors import ConfigurationError
from intent.tls import Pems, Tls, channel_credentials

__all__ = ["Channel"]

_MIB: Final = 1024 * 1024

_OPTIONS: Final = (
    # The client itself retries, with the same command id.
    ("grpc.enable_retries", 0),
    # Calls take turns among the processes to which the target's name resolves.
    ("grpc.lb_policy_name", "round_robin"),
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.min_reconnect_backoff_ms", 500),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.max_receive_message_length", 16 * _MIB),
    ("grpc.max_send_message_length", 16 * _MIB),
)
_DIRECTLY: Final = ("grpc.enable_http_proxy", 0)
"""A proxy of the environment does not reach this machine, and would get to see tokens."""


_LEAVING: Final = 365 * 86_400.0
"""Seconds after which gRPC cancels what still runs over a connection whose certificates have been replaced.

It would end a subscription as if its reader had, so it must never happen: servers end connections earlier.
"""


class Channel:
    """A channel to a context, opened by the first call, in the event loop of that call.

    Args:
        target: Where it is served, e.g. ``127.0.0.1:7400``; several processes are named by
            ``dns:///orders-headless:7400`` or ``ipv4:127.0.0.1:7401,127.0.0.1:7434``.
        credentials: For TLS; None speaks plain text. When files that a `Tls` names have changed, further
            calls use a new connection, and the one before is closed when its calls have ended.

    Attributes:
        handed: The positions that came over it.
    """

    def __init__(self, target: str, credentials: grpc.ChannelCredentials | Tls | None = None) -> None:
        self.handed = HandedPositions()
        self._target = target
        self._credentials = credentials
        self._opened: grpc.aio.Channel | None = None
        self._shown: Pems | None = None
        self._leaving: set[asyncio.Task[None]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._callables: dict[tuple[str, str, type[Message]], Any] = {}

    def callable(self, kind: str, method: str, response: type[Message]) -> Any:
        """Return the callable of a method, cached since creating one is expensive.

        Args:
            kind: How gRPC names its kind, e.g. ``unary_unary``.
            method: The full name, e.g. ``/orders.v1.Orders/PlaceOrder``.
            response: The class of the answer.

        Raises:
            ConfigurationError: The running event loop is not that of the first call.
        """
        channel = self._channel()
        cached = self._callables.get((kind, method, response))
        if cached is None:
            cached = self._callables[kind, method, response] = getattr(channel, kind)(
                method, request_serializer=_serialized, response_deserializer=response.FromString
            )
        return cached

    async def close(self) -> None:
        """Close the channel, if a call has opened it."""
        leaving = list(self._leaving)
        for task in leaving:
            task.cancel()
        await asyncio.gather(*leaving, return_exceptions=True)
        if self._opened is not None:
            await self._opened.close()

    def _channel(self) -> grpc.aio.Channel:
        running = asyncio.get_running_loop()
        if self._opened is None:
            self._opened, self._loop = self._open(), running
        if self._loop is not running:
            raise ConfigurationError(
                f"the client of {self._target} was used first in another event loop, which its connection "
                "belongs to; connect a client of its own in each event loop (each asyncio.run, each thread)"
            )
        tls = self._credentials
        if isinstance(tls, Tls) and tls.current() is not self._shown:
            self._leave(self._opened)
            self._opened = self._open()
        return self._opened

    def _leave(self, opened: grpc.aio.Channel) -> None:
        self._callables.clear()
        task = asyncio.create_task(_closed(opened), name="connection-leaving")
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)

    def _open(self) -> grpc.aio.Channel:
        options = (*_OPTIONS, _DIRECTLY) if is_local(self._target) else _OPTIONS
        if self._credentials is None:
            return grpc.aio.insecure_channel(self._target, options=options)
        if not isinstance(self._credentials, Tls):
            return grpc.aio.secure_channel(self._target, self._credentials, options=options)
        tls, self._shown = self._credentials, self._credentials.current()
        credentials = channel_credentials(self._shown)
        return grpc.aio.secure_channel(self._target, credentials, options=(*options, *tls.options))


async def _closed(opened: grpc.aio.Channel) -> None:
    """Close a channel when its calls have ended, or at once when the client is closed."""
    try:
        await opened.close(_LEAVING)
    except asyncio.CancelledError:
        await opened.close()
        raise


def _serialized(message: Message) -> bytes:
    return message.SerializeToString()
