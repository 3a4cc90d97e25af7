"""MACs of everything that goes over Temporal, so that who writes to its namespace is not believed."""

from intent.temporal.signing.clock import ClockedRunner, activating
from intent.temporal.signing.converter import SignedPayloadConverter, signed_converter
from intent.temporal.signing.interceptor import RefusingInterceptor
from intent.temporal.signing.keys import KeyRing, SigningKey
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
from intent.temporal.signing.signing import Place, Signing

__all__ = [
    "MAC_INVALID",
    "MAC_KEY_UNKNOWN",
    "MAC_MISSING",
    "ClockedRunner",
    "KeyRing",
    "KeyUnknown",
    "PayloadRefused",
    "Place",
    "Refusal",
    "RefusingInterceptor",
    "Report",
    "SignedPayloadConverter",
    "Signing",
    "SigningKey",
    "activating",
    "log_refusal",
    "signed_converter",
]
