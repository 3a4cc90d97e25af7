"""Services that Intent needs, started on this machine for development and tests."""

from __future__ import annotations

from intent.runtime.devservices.ports import PortTaken, free_port, free_ports, require_free
from intent.runtime.devservices.postgres import Postgres
from intent.runtime.devservices.process import ManagedProcess, ServiceFailed
from intent.runtime.devservices.temporal import TemporalServer

__all__ = [
    "ManagedProcess",
    "PortTaken",
    "Postgres",
    "ServiceFailed",
    "TemporalServer",
    "free_port",
    "free_ports",
    "require_free",
]
