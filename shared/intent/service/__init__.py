"""The gRPC host of a context, and its client (`intent.service.client`).

The names are imported when they are first used: the client shares modules with the host and
must not pay for loading all of it (a second and a half, felt with every use of the CLI).
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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

_HOMES = {
    "EVERY_ROLE": "identity",
    "CallSpan": "tracing",
    "CallTracer": "tracing",
    "ContextServer": "server",
    "DevIdentityProvider": "identity",
    "HealthMonitor": "health",
    "Identity": "identity",
    "IdentityProvider": "identity",
    "Probe": "health",
    "ServiceParts": "server",
    "ServiceSettings": "settings",
    "store_probe": "health",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{home}"), name)
