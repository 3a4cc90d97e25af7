"""The services that Intent needs, as processes on this machine for development and tests."""

from intent.dev.services.postgres import Postgres
from intent.dev.services.process import ManagedProcess, ServiceFailed
from intent.dev.services.sockets import PortTaken, require_free
from intent.dev.services.temporal import TemporalServer

__all__ = [
    "ManagedProcess",
    "PortTaken",
    "Postgres",
    "ServiceFailed",
    "TemporalServer",
    "require_free",
]
