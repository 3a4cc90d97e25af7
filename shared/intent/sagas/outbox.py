"""Makes the commands of a saga, each under an id that is derived from the saga and the step."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID, uuid5

from google.protobuf.message import Message
from intent_contracts.intent.v1 import CommandEnvelope, RecordedEvent

from intent.envelopes import command_envelope
from intent.origin import Origin, TraceContext

__all__ = ["Outbox", "SagaIdentity"]

_COMMANDS = UUID("6c0e6f0e-1f6b-5d0e-9a55-5a1c8d0b7f10")


class SagaIdentity:
    """Which saga this is.

    Attributes:
        workflow_id: Its id: type, tenant and correlation, separated by slashes.
        type: The full name of its message.
        tenant: The tenant.
        correlation: Its correlation.
        sends: The full names of the commands that it may send.
    """

    def __init__(self, workflow_id: str, sends: Sequence[str]) -> None:
        self.workflow_id = workflow_id
        self.type, self.tenant, self.correlation = workflow_id.split("/", 2)
        self.sends = frozenset(sends)


class Outbox:
    """Makes the commands of one saga.

    Args:
        identity: Which saga.

    Attributes:
        cause: The event that started the saga.
        latest: The id of the event that the saga took last, which causes its next command.
    """

    def __init__(self, identity: SagaIdentity) -> None:
        self._identity = identity
        self.cause = RecordedEvent()
        self.latest = ""

    def check(self, command: Message) -> None:
        """Refuse a command that the saga's contract does not name: a defect of its code.

        Raises:
            RuntimeError: It does not; in production the saga waits until its code is fixed.
        """
        name = command.DESCRIPTOR.full_name
        if name not in self._identity.sends:
            raise RuntimeError(
                f"{self._identity.type} sends {name}, which its contract does not name; "
                "add it to `sends` in (intent.v1.saga)"
            )

    def envelope(self, path: str, command: Message, attempt: int = 1) -> CommandEnvelope:
        """Return a command in its envelope.

        Args:
            path: The path of its step.
            command: The command.
            attempt: From 2 on the id is a different one, since a rejection is kept under the first.
        """
        name = f"{self._identity.workflow_id}/{path}" + (f"/{attempt}" if attempt > 1 else "")
        origin = Origin(
            tenant=self._identity.tenant,
            command_id=uuid5(_COMMANDS, name),
            correlation_id=self.cause.correlation_id,
            causation_id=self.latest,
            actor=self.cause.actor,
            trace=TraceContext.of(self.cause),
        )
        data = command.SerializeToString(deterministic=True)
        return command_envelope(origin, command.DESCRIPTOR.full_name, data)
