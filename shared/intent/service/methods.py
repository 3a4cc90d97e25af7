"""The table of methods that the server serves, and the answer to calls of all others."""

from __future__ import annotations

import difflib
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any, Final

import grpc

from intent.errors import CommandError, UnknownType
from intent.service.calls import AnyMethod, BidiMethod, CallWrapper, Method
from intent.wire.statuses import code_of, trailers_of

__all__ = ["MethodTable", "UnknownMethods", "refusing", "service_names"]

_SEARCHES: Final = 20
"""How often in a second the nearest method is looked for, which takes half a millisecond."""


class MethodTable(grpc.GenericRpcHandler):  # type: ignore[misc] # grpc has no types
    """Looks up the handler of a method in a dictionary.

    Calls that the process does not take now are refused here, before their message is received.
    """

    def __init__(self, calls: CallWrapper, methods: Iterable[AnyMethod]) -> None:
        self._calls = calls
        self._handlers: dict[str, grpc.RpcMethodHandler] = {
            method.name: _handler(calls, method) for method in methods
        }

    @property
    def names(self) -> Mapping[str, grpc.RpcMethodHandler]:
        """The handlers by the full name of their method."""
        return self._handlers

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        """Return the handler of a method, or None."""
        handler = self._handlers.get(handler_call_details.method)
        refusal = None if handler is None else self._calls.open.refusal()
        return handler if refusal is None else refusing(refusal, self._calls.domain)


def refusing(error: CommandError, domain: str) -> grpc.RpcMethodHandler:
    """Return a handler that refuses, whatever the kind of the call; it receives no message."""

    async def refuse(requests: AsyncIterator[bytes], rpc: Any) -> None:
        await rpc.abort(code_of(error), error.message, trailers_of(error, domain))

    return grpc.stream_stream_rpc_method_handler(refuse)


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
        self._second = self._searches = 0

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        """Return a handler that refuses, whatever the kind of the call."""
        return refusing(self._error(handler_call_details.method), self._domain)

    def _error(self, method: str) -> UnknownType:
        shown = method[:200]
        near = difflib.get_close_matches(shown, self._known, n=1) if self._may_search() else ()
        hint = f"did you mean {near[0]}?" if near else "Describe lists the methods, as reflection does if on"
        return UnknownType(
            "UNKNOWN_METHOD",
            f"the context {self._domain} has no method {shown}; {hint}",
            metadata={"method": shown},
        )

    def _may_search(self) -> bool:
        """Return whether the nearest method may be looked for: that takes as long as many calls."""
        second = int(time.monotonic())
        if second != self._second:
            self._second, self._searches = second, 0
        self._searches += 1
        return self._searches <= _SEARCHES


def service_names(methods: Iterable[str]) -> list[str]:
    """Return the names of the services to which methods belong, sorted.

    Args:
        methods: Full names, e.g. ``/orders.v1.Orders/PlaceOrder``.
    """
    return sorted({name.split("/")[1] for name in methods})
