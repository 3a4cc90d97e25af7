"""The data converter: payloads as binary proto, which is smaller and faster to read than JSON."""

from __future__ import annotations

import dataclasses

from temporalio.converter import (
    BinaryNullPayloadConverter,
    BinaryPlainPayloadConverter,
    BinaryProtoPayloadConverter,
    CompositePayloadConverter,
    DataConverter,
    JSONPlainPayloadConverter,
    JSONProtoPayloadConverter,
)

__all__ = ["BinaryFirstPayloadConverter", "data_converter"]


class BinaryFirstPayloadConverter(CompositePayloadConverter):
    """Temporal's own converters, binary proto before JSON proto."""

    def __init__(self) -> None:
        super().__init__(
            BinaryNullPayloadConverter(),
            BinaryPlainPayloadConverter(),
            BinaryProtoPayloadConverter(),
            JSONProtoPayloadConverter(),
            JSONPlainPayloadConverter(),
        )


data_converter = dataclasses.replace(
    DataConverter.default, payload_converter_class=BinaryFirstPayloadConverter
)
"""The data converter of every Temporal client of the platform."""
