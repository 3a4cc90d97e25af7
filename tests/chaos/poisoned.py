"""A context process in which orders, events and queries with a certain name do harm to their process.

The customer of an order says whose code does what: ``poison:<part>:<kind>:<number>``. The parts are the
aggregate, one projection, the query and the consumer of another context.
"""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import os
import re
import signal
import time
from collections.abc import Callable
from types import MappingProxyType
from typing import Any

from intent.cli.app import main

KINDS: dict[str, Callable[[], object]] = {
    "exit": lambda: os._exit(9),
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "loop": lambda: _loop(),
    "sleep": lambda: time.sleep(600),
    "regex": lambda: re.match(r"(a+)+$", "a" * 60 + "b"),
    "memory": lambda: bytearray(1 << 60),
    "recursion": lambda: KINDS["recursion"](),
    "ValueError": lambda: _raise(ValueError("a defect")),
    "SystemExit": lambda: _raise(SystemExit()),
    "KeyboardInterrupt": lambda: _raise(KeyboardInterrupt()),
    "CancelledError": lambda: _raise(asyncio.CancelledError()),
    "GeneratorExit": lambda: _raise(GeneratorExit()),
    "surrogate": lambda: _raise(ValueError("a lone surrogate: \ud800")),
    "long": lambda: _raise(ValueError("a long story " * 1_000_000)),
    "garbage": lambda: "garbage",
    "many": lambda: [object()] * 1_000_000,
}
"""What poison does: end the process, hold it up, raise, or return what nobody can use."""
DEADLY = ("exit", "kill")
USELESS = ("garbage", "many")
"""What a projection may return, since nobody looks at it."""


def _loop() -> None:
    while True:
        pass


def _raise(error: BaseException) -> None:
    raise error


def harm(part: str, customer: str) -> object:
    """Do what the name of a customer says, if it is meant for this part; return what it returns instead."""
    match = re.fullmatch(rf"poison:{part}:(\w+):\d+", customer)
    return KINDS[match[1]]() if match else None


def _poison(part: str, method: Callable[..., Any], customer_of: Callable[..., str]) -> Callable[..., Any]:
    @functools.wraps(method)
    def poisoned(*arguments: Any) -> Any:
        instead = harm(part, customer_of(*arguments))
        return method(*arguments) if instead is None else instead

    return poisoned


def poison_orders() -> None:
    """Poison the aggregate, one of the projections and the query of orders."""
    from orders.aggregates import Order
    from orders.projections import OrderSummaries
    from orders.queries import OrderQueries

    placing = "orders.v1.PlaceOrder"
    handlers = dict(Order.command_handlers)
    handlers[placing] = _poison("command", handlers[placing], lambda _, command: command.customer_id)
    Order.command_handlers = MappingProxyType(handlers)

    placed = "orders.v1.OrderPlaced"
    projected = dict(OrderSummaries.handlers)
    method = _poison("projection", projected[placed].method, lambda *parts: parts[2].customer_id)
    projected[placed] = dataclasses.replace(projected[placed], method=method)
    OrderSummaries.handlers = MappingProxyType(projected)

    listing = "orders.v1.ListOrders"
    answered = dict(OrderQueries.handlers)
    answer = _poison("query", answered[listing].method, lambda _, query: query.customer_id)
    answered[listing] = dataclasses.replace(answered[listing], method=answer)
    OrderQueries.handlers = MappingProxyType(answered)


def poison_shipping() -> None:
    """Poison the consumer of shipping."""
    from shipping.consumers import NoteOrders

    placed = "orders.v1.OrderPlaced"
    consumed = dict(NoteOrders.handlers)
    method = _poison("consumer", consumed[placed].method, lambda _, event, *__: event.customer_id)
    consumed[placed] = dataclasses.replace(consumed[placed], method=method)
    NoteOrders.handlers = MappingProxyType(consumed)


if __name__ == "__main__":
    poison_orders() if os.environ["INTENT_CONTEXT"] == "orders" else poison_shipping()
    main()
