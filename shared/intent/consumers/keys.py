"""Names of consumers, and how streams are spread over partitions."""

from __future__ import annotations

import hashlib
from typing import Final, NamedTuple

from intent.records import StreamKey

__all__ = ["EVERY_TENANT", "RESERVED", "ConsumerKey", "partition_of"]

EVERY_TENANT: Final = "*"
"""Stands for all tenants in the key of a consumer; no tenant can have this name."""

RESERVED: Final = "intent."
"""With this begin the names of the platform's own consumers, which no caller joins or removes."""


class ConsumerKey(NamedTuple):
    """The identity of one consumer.

    Attributes:
        tenant: The tenant whose events it gets, or `EVERY_TENANT`.
        name: Its name, e.g. ``shipping.known-orders``.
    """

    tenant: str
    name: str

    def __str__(self) -> str:
        return self.name if self.tenant == EVERY_TENANT else f"{self.name} of tenant {self.tenant}"


def partition_of(key: StreamKey, total: int) -> int:
    """Return the partition of a stream, from 0 up; the SQL function of the same name agrees.

    Checkpoints depend on it, so it must never change for a consumer that exists.

    Args:
        key: The stream.
        total: How many partitions there are.
    """
    digest = hashlib.sha256("\x1f".join(key).encode()).digest()
    return int.from_bytes(digest[:4], "big") % total
