"""The gRPC host of a context, and its client (`intent.service.client`)."""

from intent.service.health import HealthMonitor as HealthMonitor
from intent.service.health import Probe as Probe
from intent.service.health import store_probe as store_probe
from intent.service.identity import EVERY_ROLE as EVERY_ROLE
from intent.service.identity import DevIdentityProvider as DevIdentityProvider
from intent.service.identity import Identity as Identity
from intent.service.identity import IdentityProvider as IdentityProvider
from intent.service.server import ContextServer as ContextServer
from intent.service.server import ServiceParts as ServiceParts
from intent.service.settings import ServiceSettings as ServiceSettings
from intent.service.tracing import CallSpan as CallSpan
from intent.service.tracing import CallTracer as CallTracer

__all__ = [
    "EVERY_ROLE",
    "CallSpan",
    "CallTracer",
    "ContextServer",
    "DevIdentityProvider",
    "HealthMonitor",
    "Identity",
    "IdentityProvider",
    "Probe",
    "ServiceParts",
    "ServiceSettings",
    "store_probe",
]
