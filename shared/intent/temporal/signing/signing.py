"""MACs of what goes over Temporal: each is bound to the place for which it was made."""

from __future__ import annotations

import hashlib
import hmac
import struct
import time
from collections.abc import Iterable
from typing import Final

from temporalio.api.common.v1 import Payload
from temporalio.converter import (
    ActivitySerializationContext,
    SerializationContext,
    WorkflowSerializationContext,
)

from intent.settings.signing import Window
from intent.temporal.signing.clock import current_activation
from intent.temporal.signing.keys import KEY_ID_BYTES, KeyRing
from intent.temporal.signing.refusals import (
    MAC_INVALID,
    MAC_KEY_UNKNOWN,
    MAC_MISSING,
    Refusal,
    Report,
    log_refusal,
)

__all__ = ["MAC", "Place", "Signing"]

MAC: Final = "intent-mac"
"""The key of a payload's metadata under which its MAC is: the key's id, and HMAC-SHA256."""

_VERSION: Final = b"intent temporal mac 1"
_SHOWN: Final = 200
"""Characters that are shown of what somebody else chose."""


class Place:
    """Where something is for: a workflow, or an activity of one.

    An activity has an id of its own only where the workflow's code chose one. Temporal numbers the others,
    and the workflow does not learn the number.

    Args:
        context: What the SDK says of it; None: nothing.

    Attributes:
        name: ``workflow``, or the type of the activity.
        workflow_id: The workflow; empty: there is none.
    """

    __slots__ = ("_bound", "is_activity", "name", "workflow_id")

    def __init__(self, context: SerializationContext | None) -> None:
        self.name, self.workflow_id, kind, namespace, own_id = "", "", "", "", ""
        if isinstance(context, WorkflowSerializationContext):
            self.name, self.workflow_id, kind = "workflow", context.workflow_id, "workflow"
            namespace = context.namespace
        elif isinstance(context, ActivitySerializationContext):
            kind = "local" if context.is_local else "activity"
            self.name, self.workflow_id = context.activity_type or "", context.workflow_id or ""
            namespace, own_id = context.namespace, _chosen(context.activity_id)
        self.is_activity = kind not in ("", "workflow")
        parts = (kind, namespace, self.workflow_id, self.name, own_id)
        self._bound = _joined(*(part.encode() for part in parts))

    def digest(self, secret: bytes, payload: Payload) -> bytes:
        """Return the MAC of a payload for this place."""
        metadata = payload.metadata
        encoding, type_ = metadata.get("encoding", b""), metadata.get("messageType", b"")
        data = hashlib.sha256(payload.data).digest()
        message = _VERSION + self._bound + _joined(encoding, type_, data)
        return hmac.digest(secret, message, "sha256")


class Signing:
    """Signs what this process gives to Temporal, and verifies what it gets.

    Args:
        keys: The keys.
        unsigned: When what carries no MAC is believed. Within a workflow its own time counts, so that a
            replay decides alike as long as no window of before is changed.
        report: Is told of what is refused.
    """

    def __init__(self, keys: KeyRing, unsigned: Iterable[Window] = (), report: Report = log_refusal) -> None:
        self._keys = keys
        self._unsigned = [
            (float("-inf") if since is None else since.timestamp(), until.timestamp())
            for since, until in unsigned
        ]
        self.report = report

    def sign(self, payload: Payload, place: Place) -> None:
        """Put a MAC for a place into a payload."""
        key = self._keys.signer()
        payload.metadata[MAC] = key.id + place.digest(key.secret, payload)

    def refusal(self, payload: Payload, place: Place) -> Refusal | None:
        """Return why a payload is not believed at a place; None: it is."""
        mac = payload.metadata.get(MAC, b"")
        if not mac:
            if self._unsigned and self._is_unsigned(_now()):
                return None
            return _refusal(MAC_MISSING, payload, place)
        id_ = mac[:KEY_ID_BYTES]
        key = self._keys.find(id_)
        if key is None:
            return _refusal(MAC_KEY_UNKNOWN, payload, place, id_)
        if not hmac.compare_digest(mac[KEY_ID_BYTES:], place.digest(key.secret, payload)):
            return _refusal(MAC_INVALID, payload, place, id_)
        return None

    def misplaced(self, payload: Payload, place: Place) -> Refusal:
        """Return the refusal of a genuine payload whose message is not of the type that a place takes."""
        return _refusal(MAC_INVALID, payload, place, payload.metadata.get(MAC, b"")[:KEY_ID_BYTES])

    def _is_unsigned(self, moment: float) -> bool:
        return any(since <= moment < until for since, until in self._unsigned)


def _now() -> float:
    activation = current_activation()
    return time.time() if activation is None else activation.time


def _refusal(reason: str, payload: Payload, place: Place, key: bytes = b"") -> Refusal:
    what = payload.metadata.get("messageType") or payload.metadata.get("encoding", b"")
    text = what[:_SHOWN].decode("utf-8", "backslashreplace")
    return Refusal(reason, text, place.name[:_SHOWN], place.workflow_id[:_SHOWN], key.hex())


def _chosen(activity_id: str | None) -> str:
    """Return the id of an activity if its workflow's code chose it; else nothing."""
    return "" if not activity_id or activity_id.isdecimal() else activity_id


def _joined(*parts: bytes) -> bytes:
    """Return parts in a form in which no two lists of as many parts are alike: their lengths come first."""
    return struct.pack(f">{len(parts)}Q", *map(len, parts)) + b"".join(parts)
