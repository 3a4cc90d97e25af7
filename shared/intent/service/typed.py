"""The typed methods of a context, bound from its service descriptors: no code per method."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from hashlib import blake2b

from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message

from intent.contracts import CommandContract, QueryContract
from intent.errors import ContractError
from intent.guarding import Guard, UnderWay, guarded_steps
from intent.identity import owner_for
from intent.model import QueryContext
from intent.model.reading import NarrowingReader
from intent.read_models.read_side import ReadSide
from intent.service.calls import Answer, Call, Method, read
from intent.service.consistency import ConsistentReader
from intent.service.protocols import CommandRouter, ServedContext
from intent.service.requests import command_request
from intent.service.settings import ServiceSettings
from intent.store.epochs import LogEpochs
from intent.wire.metadata import EPOCH, MIN_POSITION, POSITION, label, number

__all__ = ["TypedMethods"]


@dataclass(frozen=True, slots=True)
class TypedMethods:
    """Binds the typed methods: a command goes to the router, a query to the context's queries.

    Attributes:
        context: The context.
        router: Routes the commands to their aggregates.
        reader: Reads the read models.
        read_side: Knows the positions of the projections.
        head: Returns the position of the log.
        epochs: Its epochs.
        settings: The limits.
        guard: What the code of queries runs under.
    """

    context: ServedContext
    router: CommandRouter
    reader: NarrowingReader
    read_side: ReadSide
    head: Callable[[], Awaitable[int]]
    epochs: LogEpochs
    settings: ServiceSettings
    guard: Guard

    def methods(self) -> Iterator[Method]:
        """Yield every typed method of the context.

        Raises:
            ContractError: A method takes neither a command nor a query.
        """
        for service in self.context.registry.services(self.context.name):
            for descriptor in service.methods:
                yield self._bind(f"/{service.full_name}/{descriptor.name}", descriptor)

    def _bind(self, name: str, descriptor: MethodDescriptor) -> Method:
        registry = self.context.registry
        input_type = descriptor.input_type.full_name
        command = registry.commands.get(input_type)
        if command is not None:
            return Method(name, self._command(command), command.roles)
        query = registry.queries.get(input_type)
        if query is not None:
            return Method(name, self._query(query), query.roles)
        raise ContractError(
            [
                f"{descriptor.containing_service.file.name}: {descriptor.full_name} takes {input_type}, "
                "which is neither a command nor a query; mark it as one"
            ]
        )

    def _command(self, contract: CommandContract) -> Answer:
        router, message, limit = self.router, contract.message, self.settings.command_bytes

        async def answer(data: bytes, call: Call) -> Message:
            return await router.handle(command_request(contract, read(message, data, limit), call))

        return answer

    def _query(self, contract: QueryContract) -> Answer:
        queries = self.context.queries
        if queries is None:
            raise ContractError([f"{contract.type}: the context {self.context.name} answers no queries"])
        answering, message, limit = queries, contract.message, self.settings.command_bytes
        doubts = self.guard.doubts
        writers = {p.read_model.DESCRIPTOR.full_name: p.name for p in self.context.projections}

        async def answer(data: bytes, call: Call) -> Message:
            query = read(message, data, limit)
            owner = owner_for(call.identity, contract, query)
            wanted = number(call.metadata, MIN_POSITION) or 0
            await self.epochs.require(wanted, label(call.metadata, EPOCH, ""))
            reader = ConsistentReader(
                self.reader,
                self.read_side,
                writers,
                self.head,
                wanted=wanted,
                wait=self._longest_wait(call),
                owner=owner,
            )
            context = QueryContext(call.identity.tenant, call.identity.actor, reader)
            piece = UnderWay("query", contract.type, call.identity.tenant, _digest(data))
            if doubts:
                await doubts.admit(piece)
            response = await guarded_steps(self.guard, piece.note, answering(context).answer(query))
            if doubts:
                await doubts.survived([piece])
            if reader.position is not None:
                call.trailers = ((POSITION, str(reader.position)), (EPOCH, self.epochs.current))
            return response

        return answer

    def _longest_wait(self, call: Call) -> float:
        """Return how long a query may wait for its read models, in seconds."""
        longest = self.settings.min_position_wait
        remaining = call.remaining()
        return longest if remaining is None else min(longest, remaining)


def _digest(data: bytes) -> str:
    return blake2b(data, digest_size=16).hexdigest()
