"""How a context author answers queries: pure, the reader is passed in.

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
from typing import Any, ClassVar, Final, TypeVar

from google.protobuf.message import Message

from intent.annotations import message_of
from intent.contracts import Problems
from intent.errors import NotFound
from intent.model.marks import Kind, MarkedMethod, by_message, mark, read_marks
from intent.model.reading import DEFAULT_PAGE_SIZE, Page, ReadModelReader

__all__ = ["Page", "Queries", "QueryContext", "QueryHandler", "answers"]

Row = TypeVar("Row", bound=Message)
MethodT = TypeVar("MethodT", bound=Callable[..., Awaitable[Message]])

_ANSWERS: Final = Kind("answers", takes=("query",), coroutine=True)


@dataclass(frozen=True, slots=True)
class QueryContext:
    """The caller for whom a query is answered.

    Attributes:
        tenant: The tenant whose rows are seen.
        actor: Who sent the query.
        reader: Reads the read models.
    """

    tenant: str
    actor: str
    reader: ReadModelReader


@dataclass(frozen=True, slots=True)
class QueryHandler:
    """One handler of `Queries`.

    Attributes:
        query: The message class of the query.
        response: The message class of the answer; `Message` itself when the method does not say it.
        method: The method, not bound.
    """

    query: type[Message]
    response: type[Message]
    method: Callable[..., Awaitable[Message]]


def answers(method: MethodT, /) -> MethodT:
    """Mark a coroutine method as the answer to the query that its parameter is annotated with."""
    return mark(_ANSWERS, method)


class Queries:
    """Answers the queries of a context from its read models; one instance per call.

    Attributes:
        handlers: The handlers by the full name of their query.
        declaration_problems: What is wrong with the declaration; binding the context reports it.
        context: The caller.
    """

    handlers: ClassVar[Mapping[str, QueryHandler]] = MappingProxyType({})
    declaration_problems: ClassVar[Problems] = Problems()

    def __init__(self, context: QueryContext) -> None:
        self.context = context

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Read the handlers from the annotations."""
        super().__init_subclass__(**kwargs)
        cls.declaration_problems = Problems()
        cls.handlers = MappingProxyType(_handlers_of(cls, cls.declaration_problems))

    @property
    def tenant(self) -> str:
        """The tenant whose rows are seen."""
        return self.context.tenant

    @property
    def actor(self) -> str:
        """Who sent the query."""
        return self.context.actor

    async def answer(self, query: Message) -> Message:
        """Answer a query by the handler of its type.

        Raises:
            KeyError: No method answers it, which `Context.bind` reports earlier.
        """
        return await self.handlers[query.DESCRIPTOR.full_name].method(self, query)

    async def find(self, model: type[Row], *key: Any) -> Row | None:
        """Return the tenant's row with this key, or None."""
        return await self.context.reader.get(model, self.tenant, *key)

    async def get(self, model: type[Row], *key: Any) -> Row:
        """Return the tenant's row with this key.

        Raises:
            NotFound: There is no such row; the reason is the model's name, e.g. ``ORDER_VIEW_NOT_FOUND``.
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
        """Return a page of the tenant's rows, the newest first; see `ReadModelReader.list`."""
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


def _handlers_of(cls: type, problems: Problems) -> dict[str, QueryHandler]:
    marked = read_marks(cls, (_ANSWERS,), problems)
    return by_message(((each.member, each.message, _handler(each, problems)) for each in marked), problems)


def _handler(marked: MarkedMethod, problems: Problems) -> QueryHandler:
    response = message_of(marked.hints.get("return"))
    if response is None:
        fix = "annotate what it returns with a message imported at the top of the module"
        problems.add(marked.member.module, marked.member.subject, "does not say what it answers with", fix)
    return QueryHandler(marked.message, response or Message, marked.method)
