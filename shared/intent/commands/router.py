"""The `WorkflowRouter`: sends commands to the contexts that handle them."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from uuid import UUID
from zlib import crc32

from google.protobuf.timestamp_pb2 import Timestamp
from intent_contracts.intent.v1 import CommandEnvelope, CommandOutcome, CommandResult

from intent.background import Background, BackgroundTask
from intent.commands import outcomes
from intent.commands.carrier import Carrier
from intent.commands.lane import Lane, LaneLimits
from intent.commands.pending import Pending, Waiter
from intent.commands.reports import CommandReports
from intent.commands.requests import CommandReport, CommandRequest, SubmittedCommand
from intent.commands.stalls import BatchUnderWay
from intent.envelopes import command_envelope
from intent.errors import ConfigurationError, Unavailable, error_of
from intent.records import CommandKey
from intent.waiting import now

__all__ = ["RouterSettings", "WorkflowRouter"]

_SWEEP = 0.5


@dataclass(frozen=True, slots=True)
class RouterSettings:
    """How the router forms batches and how long callers wait.

    Attributes:
        lanes: Lanes per context; commands of one aggregate share a lane.
        limits: The bounds of each lane.
        unavailable_after: Seconds after which a caller gets `Unavailable`.
    """

    lanes: int = 1
    limits: LaneLimits = field(default_factory=LaneLimits)
    unavailable_after: float = 10.0


class WorkflowRouter:
    """The router of commands: through the lanes of their context, and back with the results.

    Args:
        carrier_of: Returns the carrier for a context, by name.
        reports: Finds the outcomes of commands of this context.
        settings: Lanes and times.
        suspected: Returns whether a process may have died of a command; such commands share no batch.
        background: Looks after the callers that wait.
    """

    def __init__(
        self,
        carrier_of: Callable[[str], Carrier],
        reports: CommandReports,
        settings: RouterSettings | None = None,
        suspected: Callable[[CommandRequest], bool] = lambda _: False,
        background: Background | None = None,
    ) -> None:
        self._carrier_of = carrier_of
        self._reports = reports
        self._settings = settings or RouterSettings()
        self._suspected = suspected
        self._lanes: dict[str, list[Lane]] = {}
        self._carriers: dict[str, Carrier] = {}
        self._in_flight: dict[CommandKey, Pending] = {}
        self._background = background or Background()
        self._sweeper: BackgroundTask | None = None
        self._closed = False

    async def handle(self, request: CommandRequest) -> CommandResult:
        """Run a command and return its result.

        A caller that leaves does not undo an accepted command; asking again with the same command id
        returns its result.

        Raises:
            CommandError: The command had no effect. After `Unavailable` its effect is unknown: ask again
                with the same command id.
        """
        pending = self._enter(request)
        waiter = self._wait(pending, request.applied_only)
        return _result(await waiter.future)

    async def submit(self, request: CommandRequest) -> SubmittedCommand:
        """Accept a command durably, without waiting for its result.

        Raises:
            CommandError: It was not accepted.
        """
        pending = self._enter(request)
        if not pending.handle:
            try:
                async with asyncio.timeout(self._settings.unavailable_after):
                    await pending.acceptance()
            except TimeoutError:
                raise outcomes.still_waiting(accepted=bool(pending.handle)) from None
        return SubmittedCommand(request.origin.command_id, pending.handle)

    async def outcome(self, tenant: str, command_id: UUID, handle: str | None = None) -> CommandReport:
        """Return the status of a command of this context, and its outcome once finished.

        Raises:
            NotFound: The command is unknown.
        """
        key = CommandKey(tenant, command_id)
        return await self._reports.report(key, handle or "", in_flight=key in self._in_flight)

    @property
    def depth(self) -> int:
        """The number of queued commands."""
        return sum(lane.depth for lanes in self._lanes.values() for lane in lanes)

    @property
    def in_flight(self) -> int:
        """The number of commands that wait for their outcome, queued ones included."""
        return len(self._in_flight)

    def stalled(self, longest: float) -> Sequence[BatchUnderWay]:
        """Return the batches whose outcomes have been awaited for longer than some seconds."""
        return [
            batch
            for carrier in self._carriers.values()
            for batch in carrier.stalls.batches
            if batch.seconds > longest
        ]

    def close(self) -> None:
        """Refuse new commands from now on; those under way continue."""
        self._closed = True

    async def drain(self, timeout: float) -> bool:
        """Wait until all callers are answered, at most `timeout` seconds; return whether they are."""
        try:
            await asyncio.wait_for(self._drained(), timeout)
        except TimeoutError:
            return False
        return True

    async def _drained(self) -> None:
        for lanes in self._lanes.values():
            for lane in lanes:
                await lane.drained()
        for carrier in self._carriers.values():
            await carrier.drained()

    def _enter(self, request: CommandRequest) -> Pending:
        """Queue a command, or join the same one that is under way."""
        if self._closed:
            raise Unavailable(
                "SHUTTING_DOWN",
                "this process is shutting down; ask again with the same command id",
                retry_after_ms=200,
            )
        origin = request.origin
        key = CommandKey(origin.tenant, origin.command_id)
        data = request.command.SerializeToString(deterministic=True)
        digest = outcomes.fingerprint(request.contract.type, data)
        known = self._in_flight.get(key)
        if known is not None and not known.dropped:
            if known.fingerprint != digest:
                raise outcomes.id_reused(origin.command_id)
            if known.request.owner != request.owner:
                raise outcomes.under_way(origin.command_id)
            return known
        pending = Pending(_envelope(request, data), key, digest, len(data) + 300, request)
        self._lane(request).offer(pending)
        self._in_flight[key] = pending
        if self._sweeper is None or self._sweeper.over:
            self._sweeper = self._background.start("router-sweep", self._sweep)
        return pending

    def _wait(self, pending: Pending, applied_only: bool) -> Waiter:
        waiter = Waiter(
            asyncio.get_running_loop().create_future(), now(), applied_only, joined=bool(pending.waiters)
        )
        pending.waiters.append(waiter)
        return waiter

    def _lane(self, request: CommandRequest) -> Lane:
        context = request.contract.context
        lanes = self._lanes.get(context)
        if lanes is None:
            lanes = self._lanes[context] = self._open(context)
        if self._suspected(request):
            return lanes[-1]
        if len(lanes) == 2:
            return lanes[0]
        stream = f"{request.origin.tenant}/{request.contract.aggregate_id(request.command)}"
        return lanes[crc32(stream.encode()) % (len(lanes) - 1)]

    def _open(self, context: str) -> list[Lane]:
        """Return the lanes of a context; the last one is for suspected commands."""
        if self._settings.lanes < 1:
            raise ConfigurationError("a context needs at least one lane")
        carrier = self._carriers[context] = self._carrier_of(context)

        async def send(batch: list[Pending], hurried: bool) -> bool:
            try:
                return await carrier.carry(batch, self.depth, hurried=hurried)
            finally:
                for pending in batch:
                    self._forget(pending)

        limits = self._settings.limits
        alone = dataclasses.replace(limits, batch_commands=1)
        return [*(Lane(send, limits) for _ in range(self._settings.lanes)), Lane(send, alone)]

    async def _sweep(self) -> None:
        """Answer callers that have waited for too long, and drop what nobody waits for any more."""
        while self._in_flight:
            await asyncio.sleep(_SWEEP)
            oldest = now() - self._settings.unavailable_after
            for pending in list(self._in_flight.values()):
                for waiter in pending.waiters:
                    if waiter.since < oldest:
                        waiter.refuse(outcomes.still_waiting(accepted=bool(pending.handle)))
            for lanes in self._lanes.values():
                for lane in lanes:
                    lane.drop_abandoned()
            for pending in list(self._in_flight.values()):
                if pending.dropped:
                    self._forget(pending)

    def _forget(self, pending: Pending) -> None:
        if self._in_flight.get(pending.key) is pending:
            del self._in_flight[pending.key]


def _envelope(request: CommandRequest, data: bytes) -> CommandEnvelope:
    seconds, nanos = divmod(time.time_ns(), 10**9)
    return command_envelope(
        request.origin,
        request.contract.type,
        data,
        expected_version=request.expected_version,
        received_at=Timestamp(seconds=seconds, nanos=nanos),
        owner=request.owner,
    )


def _result(outcome: CommandOutcome) -> CommandResult:
    if outcome.HasField("failure"):
        raise error_of(outcome.failure)
    return outcome.result
