"""The base class of aggregates: each decides commands as one consistent whole."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Generic, NoReturn, TypeVar

from google.protobuf.message import Message

from intent.annotations import type_argument
from intent.contracts import Problems, snake_case
from intent.errors import AggregateNotFound, Rejected
from intent.model.handlers import Method, declared_methods
from intent.model.metadata import CommandMetadata

__all__ = ["Aggregate"]

S = TypeVar("S", bound=Message)


class Aggregate(Generic[S]):
    """Decides commands by its state, which only its events change.

    A subclass names the message of its state, and has a method per command and per event.

    Example::

        class Order(Aggregate[OrderState]):
            @handles
            def place(self, command: PlaceOrder) -> OrderPlaced:
                self.reject_if(self.exists, Reason.ORDER_ALREADY_PLACED, "order {id} was placed before")
                return OrderPlaced(customer_id=command.customer_id, lines=command.lines)

            @applies
            def placed(self, event: OrderPlaced) -> None:
                self.state.customer_id = event.customer_id
                self.state.lines.extend(event.lines)

    A handler decides and changes nothing; an applier changes the state and decides nothing.
    What it remembers is in the state: other attributes are lost between commands.

    Attributes:
        name: The short name in the contracts; by default the class's name.
        snapshot_every: A snapshot is taken whenever the version passes a multiple of this; 0: only after
            it was restored from more than 250 events.
        state_type: The class of the state.
        command_handlers: The handlers by the full name of their command.
        event_appliers: The appliers by the full name of their event.
        declaration_problems: What is wrong with the declaration; binding the context reports it.
        tenant: The tenant that it belongs to.
        id: Its id.
        version: How many events it has recorded; 0: it does not exist.
        state: Its state.
    """

    name: ClassVar[str] = ""
    snapshot_every: ClassVar[int] = 100
    state_type: ClassVar[type[Message]] = Message
    command_handlers: ClassVar[Mapping[str, Method]] = MappingProxyType({})
    event_appliers: ClassVar[Mapping[str, Method]] = MappingProxyType({})
    declaration_problems: ClassVar[Problems] = Problems()

    def __init__(self, tenant: str, id: str, state: S) -> None:  # noqa: A002
        self.tenant = tenant
        self.id = id
        self.version = 0
        self.state = state
        self._command: CommandMetadata | None = None
        self._size = 0
        self._unseen = False
        self._fault = ""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Read the state and the methods from the annotations."""
        super().__init_subclass__(**kwargs)
        problems = Problems()
        if "name" not in vars(cls):
            cls.name = cls.__name__
        cls.state_type = _state_type(cls, problems)
        cls.command_handlers, cls.event_appliers = declared_methods(cls, problems)
        cls.declaration_problems = problems

    @property
    def exists(self) -> bool:
        """True when the aggregate has recorded an event."""
        return self.version > 0

    @property
    def command(self) -> CommandMetadata:
        """Who sent the command that is being handled, when and why.

        Raises:
            RuntimeError: An event is being applied; what it needs must be in the event.
        """
        if self._command is None:
            raise RuntimeError("the command is known to handlers only; put what appliers need into the event")
        return self._command

    def reject(self, reason: str, message: str, **facts: object) -> NoReturn:
        """Reject the command by a business rule.

        Args:
            reason: One that the command's contract declares in `rejects`, e.g.
                ``Reason.ORDER_ALREADY_PLACED`` of the generated contracts.
            message: A sentence for a person; ``{id}`` and the names of facts are filled in.
            facts: Further facts, which the caller gets as strings.

        Raises:
            Rejected: Always.
        """
        metadata = {name: str(value) for name, value in facts.items()}
        raise Rejected(reason, self._sentence(message, facts), metadata=metadata)

    def reject_if(self, condition: object, reason: str, message: str, **facts: object) -> None:
        """Reject the command when a condition holds; see `reject`."""
        if condition:
            self.reject(reason, message, **facts)

    def require_exists(self) -> None:
        """Reject the command when the aggregate does not exist.

        Raises:
            AggregateNotFound: It does not; the reason is its name, e.g. ``ORDER_NOT_FOUND``, which the
                command's contract declares in `rejects`.
        """
        if not self.version:
            words = snake_case(self.name)
            raise AggregateNotFound(
                f"{words.upper()}_NOT_FOUND",
                f"there is no {words.replace('_', ' ')} {self.id}",
                metadata={"aggregate_id": self.id},
            )

    def _sentence(self, message: str, facts: Mapping[str, object]) -> str:
        return message.format_map(_Facts({"id": self.id, **facts}))


class _Facts(dict[str, object]):
    """Leaves an unknown name as it is: a slip in a sentence must not turn a rejection into a defect."""

    def __missing__(self, key: str) -> str:
        return f"{{{key}}}"


def _state_type(cls: type[Aggregate[Any]], problems: Problems) -> type[Message]:
    state: type[Message] = type_argument(cls, Aggregate) or cls.state_type
    if state is Message:
        fix = "name the message of its state, as in Aggregate[OrderState]"
        problems.add(cls.__module__, cls.__qualname__, "does not name its state", fix)
    return state
