"""The gRPC channel of the client."""

from __future__ import annotations

from typing import Final

import grpc

__all__ = ["open_channel"]

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


def open_channel(target: str, credentials: grpc.ChannelCredentials | None = None) -> grpc.aio.Channel:
    """Return a channel to a context.

    Args:
        target: Where it is served, e.g. ``127.0.0.1:7400``; several processes are named by
            ``dns:///orders-headless:7400`` or ``ipv4:127.0.0.1:7401,127.0.0.1:7434``.
        credentials: For TLS; None speaks plain text.
    """
    if credentials is None:
        return grpc.aio.insecure_channel(target, options=_OPTIONS)
    return grpc.aio.secure_channel(target, credentials, options=_OPTIONS)
