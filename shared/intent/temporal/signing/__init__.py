"""MACs of everything that goes over Temporal, so that who writes to its namespace is not believed."""

from intent.temporal.signing.clock import ClockedInstance, ClockedRunner, activating
from intent.temporal.signing.converter import signed_converter
from intent.temporal.signing.interceptor import RefusingInterceptor
from intent.temporal.signing.keys import KeyRing
from intent.temporal.signing.refusals import (
    MAC_INVALID,
    MAC_KEY_UNKNOWN,
    MAC_MISSING,
    KeyUnknown,
    PayloadRefused,
    Refusal,
    Report,
    log_refusal,
)
from intent.temporal.signing.signing import Signing

__all__ = [
    "MAC_INVALID",
    "MAC_KEY_UNKNOWN",
    "MAC_MISSING",
    "ClockedInstance",
    "ClockedRunner",
    "KeyRing",
    "KeyUnknown",
    "PayloadRefused",
    "Refusal",
    "RefusingInterceptor",
    "Report",
    "Signing",
    "activating",
    "log_refusal",
    "signed_converter",
]
