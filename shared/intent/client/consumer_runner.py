"""Runs a consumer: joins, handles deliveries, answers them, and joins again whenever the call ends."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

import grpc
from intent_contracts.intent.v1 import ConsumeResponse, Join

from intent.client.callers import Renewals
from intent.client.connection import Connection, Stream
from intent.client.participation import CALL_OVER, TRANSIENT, ConsumingFigures, Participation, SendCommand
from intent.client.reacting import Reacting
from intent.client.repeats import RepeatedWarnings
from intent.client.retries import platform_error
from intent.errors import CommandError, HandlerFailed, Unavailable
from intent.guarding import Guard
from intent.waiting import set_within

if TYPE_CHECKING:
    from intent.model import Consumer, IntendedCommand

__all__ = ["ConsumerRunner", "ConsumingFigures", "SendCommand"]

_log: Final = logging.getLogger("intent.client")
_METHOD: Final = "/intent.v1.Consumers/Consume"
_END_TIMEOUT: Final = 5.0
"""How long, in seconds, to wait for the context to end the call."""


class ConsumerRunner:
    """Runs one instance of a consumer.

    Args:
        consumer: The consumer.
        connection: The context whose events it takes.
        send: Sends the commands that follow; None: it must not return any.
        all_tenants: True: the events of every tenant, not only of the caller's.
        grace: How many seconds handlers may still take when it is to stop.
        guard: What its handlers run under; None: one that notes nothing and sends no signals.

    Raises:
        ContractError: The consumer's class is not declared as it should be.
    """

    def __init__(
        self,
        consumer: Consumer,
        connection: Connection,
        send: SendCommand | None = None,
        *,
        all_tenants: bool = False,
        grace: float = 10.0,
        guard: Guard | None = None,
    ) -> None:
        consumer.declaration_problems.refuse()
        self._reacting = Reacting(consumer, guard or Guard(interrupts=False))
        self.figures = ConsumingFigures(consumer.name)
        self._consumer = consumer
        self._connection = connection
        self._send = send or _send_nothing
        self._all_tenants = all_tenants
        self._grace = grace
        self._stopping = asyncio.Event()
        self._failures = RepeatedWarnings(_log)

    def stop(self) -> None:
        """Stop after the handlers that are running; `run` then returns."""
        self._stopping.set()

    async def run(self) -> None:
        """Run until it is stopped; keep retrying while the context is unavailable.

        Raises:
            CommandError: The context refuses it, which a retry would not change.
        """
        try:
            await self._run()
        finally:
            self._failures.close()

    async def _run(self) -> None:
        failures = 0
        renewals = Renewals(self._connection.caller)
        while not self._stopping.is_set():
            participation = Participation(
                self._consumer, self._reacting, self._send, self.figures, self._failures
            )
            error = await self._take_part(participation, renewals)
            if error is None or self._stopping.is_set():
                continue
            failures = 1 if participation.joined else failures + 1
            self._log_disconnect(error, failures)
            if not isinstance(error, (*TRANSIENT, HandlerFailed)):
                raise error
            await set_within(self._stopping, self._connection.policy.wait(failures, error))

    async def _take_part(self, participation: Participation, renewals: Renewals) -> CommandError | None:
        """Consume until the call ends or the runner is stopped.

        Returns:
            Why the call ended; None when it is to begin again at once, with another token.
        """
        try:
            stream = await self._connection.talk(_METHOD, ConsumeResponse)
        except CommandError as missing:
            return missing
        ended = await self._consume(participation, stream)
        if participation.joined:
            renewals.accepted()
        try:
            again = ended is None or await renewals.renewed(ended, stream.authorization)
        except CommandError as missing:
            return missing
        return None if again else ended

    async def _consume(self, participation: Participation, stream: Stream) -> CommandError | None:
        """Consume by one call; return why it ended, or None if it did so for the sake of another token."""
        call, end = stream.call, _call_ended()
        working = asyncio.create_task(participation.run(call, self._join()), name=f"{self._consumer.name}")
        stopping = asyncio.create_task(self._stopping.wait())
        renewed = asyncio.create_task(self._renewed(participation, stream))
        try:
            await asyncio.wait([working, stopping, renewed], return_when=asyncio.FIRST_COMPLETED)
            if not working.done():
                await participation.leave(self._grace)
                # The context ends the call once it has saved the answers.
                await asyncio.wait([working], timeout=_END_TIMEOUT)
            if working.done():
                working.result()
            return None if renewed.done() else end
        except grpc.aio.AioRpcError as error:
            return platform_error(error)
        except CALL_OVER:
            return end
        finally:
            self.figures.connected, self.figures.partitions = False, 0
            for task in (stopping, renewed, working):
                task.cancel()
            await asyncio.wait([working])
            call.cancel()

    async def _renewed(self, participation: Participation, stream: Stream) -> None:
        """Wait until there is another token than the call's, and the handlers that run then have answered.

        So nothing is delivered twice because the call ends with its token.
        """
        source = self._connection.caller.token
        if source is None:
            await asyncio.Event().wait()
        else:
            await source.replaced(stream.authorization)
        await participation.finish()

    def _join(self) -> Join:
        consumer = self._consumer
        return Join(
            consumer=consumer.name,
            types=sorted(consumer.handlers),
            from_now=consumer.from_now,
            # The next events are already here when a handler is done.
            in_flight=min(1000, 2 * consumer.concurrency),
            attempts=consumer.attempts,
            all_tenants=self._all_tenants,
        )

    def _log_disconnect(self, error: CommandError, failures: int) -> None:
        self.figures.trouble = str(error)
        level = logging.INFO if failures == 1 else logging.DEBUG
        _log.log(level, "consumer %s is not connected, trying again: %s", self._consumer.name, error)


def _call_ended() -> Unavailable:
    return Unavailable("CONNECTION_LOST", "the call ended")


async def _send_nothing(intended: IntendedCommand) -> None:
    raise TypeError(
        f"a consumer returned {intended.command.DESCRIPTOR.full_name}, but nothing sends its commands: "
        "pass `send` when you create its runner"
    )
