"""The gRPC server of a context."""

from intent.service.health import HealthMonitor, Probe, store_probe
from intent.service.identity import EVERY_ROLE, DevIdentityProvider, Identity, IdentityProvider
from intent.service.server import ContextServer, ServiceParts
from intent.service.settings import ServiceSettings
from intent.service.starting import StartingServer

__all__ = [
    "EVERY_ROLE",
    "ContextServer",
    "DevIdentityProvider",
    "HealthMonitor",
    "Identity",
    "IdentityProvider",
    "Probe",
    "ServiceParts",
    "ServiceSettings",
    "StartingServer",
    "store_probe",
]
