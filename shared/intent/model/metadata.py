"""What surrounds a decision: who asked for it, and what it recorded."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

__all__ = ["CommandMetadata", "DecidedEvent"]


# Named tuples, because one of each is made for every command: they are made in a third of
# the time that a frozen dataclass takes.
class CommandMetadata(NamedTuple):
    """What a handler may know of a command besides its message.

    Attributes:
        tenant: The tenant on whose data it acts.
        command_id: The command's id.
        actor: Who asks.
        correlation_id: The id that everything which follows from one request shares.
        received_at: When the platform received it, with time zone. Use it instead of the clock.
        causation_id: The command or event that caused it, or empty.
    """

    tenant: str
    command_id: UUID
    actor: str
    correlation_id: str
    received_at: datetime
    causation_id: str = ""


class DecidedEvent(NamedTuple):
    """An event that was decided and is not recorded yet.

    Attributes:
        type: The full name of the event's message.
        schema_version: The schema version of `data`.
        data: The message, as proto bytes.
    """

    type: str
    schema_version: int
    data: bytes
