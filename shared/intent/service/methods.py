"""The table of methods that the server serves, and the answer to calls of all others."""

from __future__ import annotations

import difflib
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any

import grpc

from intent.errors import UnknownType
from intent.service.calls import AnyMethod, BidiMethod, CallWrapper, Method
from intent.wire.statuses import code_of, trailers_of

__all__ = ["MethodTable", "UnknownMethods", "service_names"]


class MethodTable(grpc.GenericRpcHandler):  # type: ignore[misc] # grpc has no types
    """Looks up the handler of a method in a dictionary."""

    def __init__(self, calls: CallWrapper, methods: Iterable[AnyMethod]) -> None:
        self._handlers: dict[str, grpc.RpcMethodHandler] = {
            method.name: _handler(calls, method) for method in methods
        }

    @property
    def names(self) -> Mapping[str, grpc.RpcMethodHandler]:
        """The handlers by the full name of their method."""
        return self._handlers

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        """Return the handler of a method, or None."""
        return self._handlers.get(handler_call_details.method)


def _handler(calls: CallWrapper, method: AnyMethod) -> grpc.RpcMethodHandler:
    if isinstance(method, Method):
        return calls.unary(method)
    return calls.bidirectional(method) if isinstance(method, BidiMethod) else calls.streaming(method)


class UnknownMethods(grpc.GenericRpcHandler):  # type: ignore[misc] # grpc has no types
    """Answers calls of methods that do not exist, naming the nearest that does.

    It must be the last handler of the server.
    """

    def __init__(self, domain: str, known: Iterable[str]) -> None:
        self._domain = domain
        self._known = sorted(known)

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        """Return a handler that refuses, whatever the kind of the call."""
        error = self._error(handler_call_details.method)

        async def refuse(requests: AsyncIterator[bytes], rpc: Any) -> None:
            await rpc.abort(code_of(error), error.message, trailers_of(error, self._domain))

        return grpc.stream_stream_rpc_method_handler(refuse)

    def _error(self, method: str) -> UnknownType:
        shown = method[:200]
        near = difflib.get_close_matches(shown, self._known, n=1)
        hint = f"did you mean {near[0]}?" if near else "server reflection and Describe list the methods"
        return UnknownType(
            "UNKNOWN_METHOD",
            f"the context {self._domain} has no method {shown}; {hint}",
            metadata={"method": shown},
        )


def service_names(methods: Iterable[str]) -> list[str]:
    """Return the names of the services to which methods belong, sorted.

    Args:
        methods: Full names, e.g. ``/orders.v1.Orders/PlaceOrder``.
    """
    return sorted({name.split("/")[1] for name in methods})
