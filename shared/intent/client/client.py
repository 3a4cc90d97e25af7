"""The client of a context: typed, with safe retries."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self, TypeVar, overload
from uuid import UUID

import grpc
from google.protobuf.message import Message
from intent_contracts.intent.v1 import (
    CommandResult,
    DescribeRequest,
    DescribeResponse,
    EventFilter,
    ExecuteRequest,
    GetCommandRequest,
    GetCommandResponse,
    ReadStreamRequest,
    ReadStreamResponse,
    RecordedEvent,
    SubmitRequest,
    SubmitResponse,
)

from intent.client.callers import Caller, Pairs, Token, require_protected, token_source
from intent.client.channel import Channel
from intent.client.command_metadata import command_pairs
from intent.client.connection import DEFAULT_TIMEOUT, Connection
from intent.client.consumer_runner import ConsumerRunner, SendCommand
from intent.client.operators import AuditClient, ConsumersClient, ProjectionsClient, SagasClient
from intent.client.retries import RetryPolicy
from intent.client.subscription import subscribe
from intent.contracts import QueryContract, Registry
from intent.errors import CommandError, UnknownType
from intent.ids import new_id
from intent.origin import TraceContext
from intent.tls import Tls
from intent.wire import metadata as keys

if TYPE_CHECKING:
    from intent.guarding import Guard
    from intent.model import Consumer, IntendedCommand

__all__ = ["IntentClient"]

Response = TypeVar("Response", bound=Message)

_COMMANDS: Final = "/intent.v1.Commands"
_EVENTS: Final = "/intent.v1.Events"
_STREAM_LIMIT: Final = 1000
"""How many events of an aggregate one call returns at most."""


class IntentClient:
    """Calls one context on behalf of one caller.

    Calls are retried within their timeout while the context is unavailable, restarting or
    overloaded; commands keep their command id, so that each has one effect.

    Attributes:
        projections: Lists and repairs the projections, for operators.
        sagas: Lists and repairs the sagas.
        consumers: Lists and repairs the consumers of the context's events.
        audit: Lists who did, or was refused, what.
    """

    def __init__(self, connection: Connection, registry: Registry) -> None:
        self._connection = connection
        self._registry = registry
        self.projections = ProjectionsClient(connection)
        self.sagas = SagasClient(connection)
        self.consumers = ConsumersClient(connection)
        self.audit = AuditClient(connection)

    @classmethod
    def connect(
        cls,
        target: str,
        *,
        tenant: str = "",
        actor: str | None = None,
        roles: Sequence[str] | None = None,
        token: Token | None = None,
        token_in_plain_text: bool = False,
        timeout: float = DEFAULT_TIMEOUT,
        policy: RetryPolicy | None = None,
        credentials: grpc.ChannelCredentials | Tls | None = None,
        registry: Registry | None = None,
        traceparent: Callable[[], str] = str,
        tracestate: Callable[[], str] = str,
    ) -> Self:
        """Return a client; the connection itself is made with the first call.

        It belongs to the event loop of that call; another event loop needs a client of its own.

        Args:
            target: Where the context is served, e.g. ``127.0.0.1:7400``.
            tenant: The tenant on whose data to act.
            actor: Who calls; only a development identity trusts it.
            roles: What the caller may do; only a development identity trusts it.
            token: An access token, or where tokens come from: a `TokenFile`, a `TokenCommand`,
                `ClientCredentials`, or a function that returns one or an awaitable of one. It is
                renewed before it expires, except where it is a string.
            token_in_plain_text: True to send tokens without TLS to other machines as well.
            timeout: Seconds that a call may take in total.
            policy: When to retry.
            credentials: For TLS, a `Tls` or gRPC's own; None uses plain text.
            registry: The contracts; None: all that are installed.
            traceparent: Returns the W3C traceparent of the current trace, or an empty string.
            tracestate: Returns the W3C tracestate of that trace, or an empty string.

        Raises:
            ConfigurationError: The token would be sent in plain text to another machine, or is none.
        """
        source = None if token is None else token_source(token)
        if source is not None and credentials is None and not token_in_plain_text:
            require_protected(target)
        caller = Caller(tenant, actor, None if roles is None else tuple(roles), source)

        def trace() -> TraceContext:
            return TraceContext(traceparent(), tracestate())

        connection = Connection(Channel(target, credentials), caller, policy or RetryPolicy(), timeout, trace)
        return cls(connection, registry or Registry.load())

    def acting(
        self, *, tenant: str | None = None, actor: str | None = None, roles: Sequence[str] | None = None
    ) -> IntentClient:
        """Return a client over the same connection for another tenant, actor or roles."""
        caller = self._connection.caller
        caller = replace(
            caller,
            tenant=caller.tenant if tenant is None else tenant,
            actor=caller.actor if actor is None else actor,
            roles=caller.roles if roles is None else tuple(roles),
        )
        return IntentClient(self._connection.acting(caller), self._registry)

    async def close(self) -> None:
        """Close the connection, for every client that uses it."""
        await self._connection.channel.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def execute(
        self,
        command: Message,
        *,
        command_id: UUID | str | None = None,
        expected_version: int | None = None,
        correlation_id: str = "",
        causation_id: str = "",
        applied_only: bool = False,
        timeout: float | None = None,
    ) -> CommandResult:
        """Run a command and return its result.

        Args:
            command: The command.
            command_id: Its id; None generates one. Repeating an id has no second effect.
            expected_version: The version that the aggregate must have; 0: it must not exist.
            correlation_id: The id shared by everything that follows from it; empty: the command's.
            causation_id: The command or event that caused this one.
            applied_only: True to get the result after the append, without waiting for read models.
            timeout: Seconds in total; None: the client's.

        Raises:
            CommandError: The command had no effect. After `DeadlineExceeded` or `Unavailable` the
                effect is unknown: retry with the id in ``metadata["command_id"]``.
        """
        own_id = str(command_id or new_id())
        pairs = command_pairs(own_id, expected_version, correlation_id, causation_id, applied_only)
        contract = self._registry.commands.get(command.DESCRIPTOR.full_name)
        method, request = f"{_COMMANDS}/Execute", command
        if contract is not None and contract.method:
            method = contract.method
        else:
            request = ExecuteRequest()
            request.command.Pack(command)
        return await self._call_command(own_id, method, request, CommandResult, pairs, timeout)

    async def submit(
        self,
        command: Message,
        *,
        command_id: UUID | str | None = None,
        expected_version: int | None = None,
        correlation_id: str = "",
        causation_id: str = "",
        timeout: float | None = None,
    ) -> SubmitResponse:
        """Submit a command, which is accepted durably, and return its handle at once; see `execute`."""
        own_id = str(command_id or new_id())
        pairs = command_pairs(own_id, expected_version, correlation_id, causation_id, False)
        request = SubmitRequest()
        request.command.Pack(command)
        return await self._call_command(
            own_id, f"{_COMMANDS}/Submit", request, SubmitResponse, pairs, timeout
        )

    async def get_command(
        self, command_id: UUID | str, *, handle: str = "", timeout: float | None = None
    ) -> GetCommandResponse:
        """Return the status and outcome of a command.

        Raises:
            NotFound: The command is unknown; without a handle only finished commands are found.
        """
        request = GetCommandRequest(command_id=str(command_id), handle=handle)
        return await self._connection.call(
            f"{_COMMANDS}/GetCommand", request, GetCommandResponse, timeout=timeout
        )

    async def describe(self, *, timeout: float | None = None) -> DescribeResponse:
        """Return the contracts that the context serves."""
        return await self._connection.call(
            f"{_COMMANDS}/Describe", DescribeRequest(), DescribeResponse, timeout=timeout
        )

    @overload
    async def query(
        self, query: Message, *, min_position: int = ..., timeout: float | None = ...
    ) -> Message: ...

    @overload
    async def query(
        self, query: Message, returns: type[Response], *, min_position: int = ..., timeout: float | None = ...
    ) -> Response: ...

    async def query(
        self,
        query: Message,
        returns: type[Message] | None = None,
        *,
        min_position: int = 0,
        timeout: float | None = None,
    ) -> Message:
        """Answer a query.

        Args:
            query: The query.
            returns: The class of the answer, for the type checker; by default the contract's.
            min_position: The position of the log that the read model must have reached; pass a
                result's position to read your own writes.
            timeout: Seconds in total; None: the client's.

        Raises:
            UnknownType: There is no such query, or no method that takes it.
            CommandError: The server's error, or that it did not answer in time.
        """
        contract: QueryContract = self._registry.query(query.DESCRIPTOR.full_name)
        if not contract.method:
            raise UnknownType("NO_METHOD", f"no service has a method that takes {contract.type}")
        pairs: Pairs = ((keys.MIN_POSITION, str(min_position)),) if min_position else ()
        if epoch := self._connection.channel.handed.epoch_of(min_position):
            pairs += ((keys.EPOCH, epoch),)
        return await self._connection.call(
            contract.method, query, returns or contract.response, metadata=pairs, timeout=timeout
        )

    def events(
        self,
        *,
        after: int = 0,
        epoch: str = "",
        follow: bool = True,
        from_now: bool = False,
        types: Sequence[str] = (),
        aggregate_type: str = "",
        aggregate_id: str = "",
        correlation_id: str = "",
    ) -> AsyncIterator[RecordedEvent]:
        """Yield the tenant's events in order, each once, resuming after lost connections.

        Args:
            after: The position after which to start; 0: the beginning of the log.
            epoch: The epoch of the event with that position; empty: as far as the client knows.
            follow: True to continue with new events, false to end at the head of the log.
            from_now: True to start at the head of the log.
            types: Only these events, by the full names of their messages.
            aggregate_type: Only this kind of aggregate.
            aggregate_id: Only this aggregate.
            correlation_id: Only this correlation.
        """
        where = EventFilter(
            types=types,
            aggregate_type=aggregate_type,
            aggregate_id=aggregate_id,
            correlation_id=correlation_id,
        )
        return subscribe(
            self._connection,
            after=after,
            epoch=epoch or self._connection.channel.handed.epoch_of(after),
            follow=follow,
            from_now=from_now,
            where=where,
        )

    def consume(
        self,
        consumer: Consumer,
        *,
        send: SendCommand | None = None,
        all_tenants: bool = False,
        guard: Guard | None = None,
    ) -> ConsumerRunner:
        """Return a runner for one instance of a consumer of the context's events.

        Example::

            runner = orders.consume(NoteOrders(), send=shipping.send)
            running = asyncio.create_task(runner.run())
            runner.stop()  # when the program ends
            await running

        Args:
            consumer: The consumer.
            send: Sends the commands that follow, e.g. `send` of the client of another context; None:
                none follow.
            all_tenants: True: the events of every tenant, for which the caller needs a role.
            guard: What its handlers run under, in a context's process.
        """
        return ConsumerRunner(consumer, self._connection, send, all_tenants=all_tenants, guard=guard)

    async def send(self, intended: IntendedCommand) -> CommandResult:
        """Send a command that follows from an event, on behalf of the consumer.

        Raises:
            CommandError: It had no effect; see `execute`.
        """
        origin = intended.origin
        within = IntentClient(self._connection.within(origin.trace), self._registry)
        # Where a token says who calls, nothing else may.
        actor = origin.actor if self._connection.caller.token is None else None
        return await within.acting(tenant=origin.tenant, actor=actor).execute(
            intended.command,
            command_id=origin.command_id,
            correlation_id=origin.correlation_id,
            causation_id=origin.causation_id,
            applied_only=True,
        )

    async def read_stream(
        self, aggregate_type: str, aggregate_id: str, *, after_version: int = 0, limit: int = 0
    ) -> ReadStreamResponse:
        """Read the events of one aggregate, in as many calls as it takes.

        Args:
            aggregate_type: The aggregate's short name.
            aggregate_id: The aggregate's id.
            after_version: The version after which to start.
            limit: The most events; 0: 1,000. ``more`` in the answer says whether there are others.
        """
        wanted = limit or _STREAM_LIMIT
        answer = ReadStreamResponse()
        while True:
            request = ReadStreamRequest(
                aggregate_type=aggregate_type,
                aggregate_id=aggregate_id,
                after_version=answer.events[-1].version if answer.events else after_version,
                limit=min(_STREAM_LIMIT, wanted - len(answer.events)),
            )
            page = await self._connection.call(f"{_EVENTS}/ReadStream", request, ReadStreamResponse)
            answer.events.extend(page.events)
            answer.version, answer.more = page.version, page.more
            if not page.more or not page.events or len(answer.events) >= wanted:
                return answer

    async def _call_command(
        self,
        own_id: str,
        method: str,
        request: Message,
        response: type[Response],
        pairs: Pairs,
        timeout: float | None,
    ) -> Response:
        try:
            answer = await self._connection.call(method, request, response, metadata=pairs, timeout=timeout)
        except CommandError as error:
            error.metadata.setdefault("command_id", own_id)
            raise
        if isinstance(answer, CommandResult) and answer.epoch:
            self._connection.channel.handed.note(answer.position, answer.epoch)
        return answer
