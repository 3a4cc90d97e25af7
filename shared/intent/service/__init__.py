"""The gRPC server of a context."""

from intent.service.health import HealthMonitor, Probe, store_probe
from intent.service.server import ContextServer, ServiceParts
from intent.service.settings import ServiceSettings
from intent.service.starting import StartingServer

__all__ = [
    "ContextServer",
    "HealthMonitor",
    "Probe",
    "ServiceParts",
    "ServiceSettings",
    "StartingServer",
    "store_probe",
]
