"""How a context author answers queries: pure, the reader is handed in.

Example::

    class OrderQueries(Queries):
        @answers
        async def get_order(self, query: GetOrder) -> OrderView:
            return await self.get(OrderView, query.order_id)
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar, TypeVar

from google.protobuf.message import Message

from intent.annotations import annotated_message, parameter_names, returned_message
from intent.errors import NotFound
from intent.model.reading import DEFAULT_PAGE_SIZE, Page, ReadModelReader

__all__ = ["Page", "Queries", "QueryContext", "QueryHandler", "answers"]

Row = TypeVar("Row", bound=Message)
MethodT = TypeVar("MethodT", bound=Callable[..., Awaitable[Message]])


@dataclass(frozen=True, slots=True)
class QueryContext:
    """On whose behalf a query is answered.

    Attributes:
        tenant: The tenant whose rows are seen.
        actor: Who asks.
        reader: Reads the read models.
    """

    tenant: str
    actor: str
    reader: ReadModelReader


@dataclass(frozen=True, slots=True)
class QueryHandler:
    """One method of `Queries`, as the registry of the class keeps it.

    Attributes:
        query: The message class of the query.
        response: The message class of the answer.
        method: The method, not bound.
    """

    query: type[Message]
    response: type[Message]
    method: Callable[..., Awaitable[Message]]


def answers(method: MethodT, /) -> MethodT:
    """Marks a coroutine method as the answer to the query that its parameter is annotated with."""
    method.__intent_answers__ = True  # type: ignore[attr-defined]
    return method


class Queries:
    """Answers the queries of a context from its read models; made anew for each call.

    Attributes:
        handlers: The handlers by the full name of their query.
        context: On whose behalf.
    """

    handlers: ClassVar[Mapping[str, QueryHandler]] = MappingProxyType({})

    def __init__(self, context: QueryContext) -> None:
        self.context = context

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Reads the handlers from the annotations.

        Raises:
            TypeError: An annotation is missing, or two methods answer the same query.
        """
        super().__init_subclass__(**kwargs)
        cls.handlers = MappingProxyType(dict(cls.handlers) | _handlers_of(cls))

    @property
    def tenant(self) -> str:
        """The tenant whose rows are seen."""
        return self.context.tenant

    @property
    def actor(self) -> str:
        """Who asks."""
        return self.context.actor

    async def answer(self, query: Message) -> Message:
        """Answers a query by the handler of its type.

        Raises:
            KeyError: No method answers it; `Context.bind` finds that before.
        """
        return await self.handlers[query.DESCRIPTOR.full_name].method(self, query)

    async def find(self, model: type[Row], *key: Any) -> Row | None:
        """Returns the tenant's row with this key, or None."""
        return await self.context.reader.get(model, self.tenant, *key)

    async def get(self, model: type[Row], *key: Any) -> Row:
        """Returns the tenant's row with this key.

        Raises:
            NotFound: There is none; the reason is the model's name, e.g. ``ORDER_VIEW_NOT_FOUND``.
        """
        row = await self.find(model, *key)
        if row is None:
            raise _not_found(model, key)
        return row

    async def list(
        self,
        model: type[Row],
        *,
        where: Mapping[str, Any] | None = None,
        page_size: int = DEFAULT_PAGE_SIZE,
        page_token: str = "",
    ) -> Page[Row]:
        """Returns a page of the tenant's rows, the newest first; see `ReadModelReader.list`."""
        return await self.context.reader.list(
            model, self.tenant, where=where, page_size=page_size, page_token=page_token
        )


def _not_found(model: type[Message], key: tuple[Any, ...]) -> NotFound:
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", model.DESCRIPTOR.name)
    shown = "/".join(str(part) for part in key)
    return NotFound(
        f"{words.upper()}_NOT_FOUND",
        f"there is no {words.lower().replace('_', ' ')} {shown}",
        metadata={"key": shown},
    )


def _handlers_of(cls: type) -> dict[str, QueryHandler]:
    handlers: dict[str, QueryHandler] = {}
    for member in cls.__dict__.values():
        if not getattr(member, "__intent_answers__", False):
            continue
        handler = _handler(member)
        query_type = handler.query.DESCRIPTOR.full_name
        if query_type in handlers:
            raise TypeError(f"{cls.__name__}: two methods answer {query_type}; leave one")
        handlers[query_type] = handler
    return handlers


def _handler(method: Callable[..., Awaitable[Message]]) -> QueryHandler:
    names = parameter_names(method)
    if len(names) != 1:
        raise TypeError(f"{method.__qualname__}: it must take the query and nothing else")
    return QueryHandler(annotated_message(method, names[0]), returned_message(method), method)
