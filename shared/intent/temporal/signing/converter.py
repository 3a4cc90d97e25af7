"""The converter by which everything that goes over Temporal carries a MAC."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Sequence
from typing import Any, Final, Self, cast

from google.protobuf.message import Message
from temporalio.api.common.v1 import Payload
from temporalio.common import RawValue
from temporalio.converter import (
    DataConverter,
    PayloadConverter,
    SerializationContext,
    WithSerializationContext,
)

from intent.temporal.converter import BinaryFirstPayloadConverter, data_converter
from intent.temporal.signing.clock import Activation, current_activation
from intent.temporal.signing.refusals import MAC_KEY_UNKNOWN, KeyUnknown, PayloadRefused, Refusal
from intent.temporal.signing.signing import Place, Signing

__all__ = ["RefusedArgument", "SignedPayloadConverter", "signed_converter"]

_PATIENCE: Final = 3600.0
"""Seconds of a workflow's age up to which a key that is not known may still come."""

_NOWHERE: Final = Place(None)


class RefusedArgument:
    """Stands for an argument of an activity that is refused; `RefusingInterceptor` refuses the call.

    Attributes:
        refusal: Why.
    """

    def __init__(self, refusal: Refusal) -> None:
        self.refusal = refusal


class SignedPayloadConverter(PayloadConverter, WithSerializationContext):
    """A converter of the platform whose payloads carry a MAC, and which believes no others.

    What a workflow is given is refused for good, and ends it or is dropped. Whatever else a workflow gets
    that is refused fails its task, and so does what it was given once it has begun: it is not at fault.

    Args:
        signing: Signs and verifies.
        place: Where the payloads are for.
    """

    def __init__(
        self, signing: Signing, place: Place = _NOWHERE, inner: PayloadConverter | None = None
    ) -> None:
        self._signing = signing
        self._place = place
        self._inner = inner or BinaryFirstPayloadConverter()

    def with_context(self, context: SerializationContext) -> Self:
        """Return the same for payloads of a workflow or an activity."""
        return cast("Self", SignedPayloadConverter(self._signing, Place(context), self._inner))

    def to_payloads(self, values: Sequence[Any]) -> list[Payload]:
        """Convert values, and sign them; what is a payload already stays as it is."""
        payloads = self._inner.to_payloads(values)
        for value, payload in zip(values, payloads, strict=True):
            if not isinstance(value, RawValue):
                self._signing.sign(payload, self._place)
        return payloads

    def from_payloads(self, payloads: Sequence[Payload], type_hints: list[type] | None = None) -> list[Any]:
        """Convert payloads that carry the MAC for this place; a `RawValue` is left to who converts it.

        Raises:
            PayloadRefused: One does not, and would not later.
            KeyUnknown: One is by a key that may come.
            RuntimeError: One is refused by which a workflow that has begun would go on.
        """
        hints = type_hints or []
        for index, payload in enumerate(payloads):
            if index < len(hints) and hints[index] is RawValue:
                continue
            refusal = self._signing.refusal(payload, self._place)
            if refusal is not None:
                return self._stand_ins(refusal, len(payloads))
        values = self._inner.from_payloads(payloads, type_hints)
        for payload, value, hint in zip(payloads, values, hints, strict=False):
            if not _fits(value, hint):
                return self._stand_ins(self._signing.misplaced(payload, self._place), len(payloads))
        return values

    def _stand_ins(self, refusal: Refusal, count: int) -> list[Any]:
        self._refuse(refusal)
        return [RefusedArgument(refusal)] * count

    def _refuse(self, refusal: Refusal) -> None:
        """Report and raise a refusal; return only where the call of an activity is to be refused instead."""
        activation = current_activation()
        if activation is None or not activation.replaying:
            self._signing.report(refusal)
        unknown = refusal.reason == MAC_KEY_UNKNOWN
        if activation is not None:
            self._refuse_in(activation, refusal, unknown)
        waits = _in_event_loop()
        if unknown and (self._place.is_activity or not waits):
            raise KeyUnknown(str(refusal))
        if not (self._place.is_activity and waits):
            raise PayloadRefused(refusal)

    def _refuse_in(self, activation: Activation, refusal: Refusal, unknown: bool) -> None:
        own = not self._place.is_activity and self._place.workflow_id == activation.workflow_id
        if not own or activation.committed:
            raise RuntimeError(str(refusal))
        if unknown and activation.age < _PATIENCE:
            raise KeyUnknown(str(refusal))
        raise PayloadRefused(refusal)


def _fits(value: Any, hint: Any) -> bool:
    """Return whether a value is of the type asked for, as far as that is a type of messages.

    A payload names its own type, and is converted to that one whatever is asked for.
    """
    wanted = getattr(hint, "DESCRIPTOR", None)
    if value is None or wanted is None:
        return True
    return isinstance(value, Message) and value.DESCRIPTOR.full_name == wanted.full_name


def _in_event_loop() -> bool:
    """Return whether an event loop runs, as where a client is or an activity, and not where a workflow is."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def signed_converter(signing: Signing) -> DataConverter:
    """Return the data converter of clients and workers whose messages carry MACs."""

    class Signed(SignedPayloadConverter):
        """The SDK makes converters without arguments."""

        def __init__(self) -> None:
            super().__init__(signing)

    return dataclasses.replace(data_converter, payload_converter_class=Signed)
