"""Names of consumers, and how streams are spread over partitions."""

from __future__ import annotations

import hashlib
import re
from typing import Final, NamedTuple

from intent.records import StreamKey

__all__ = ["EVERY_TENANT", "RESERVED", "ConsumerKey", "own_prefix", "partition_of"]

EVERY_TENANT: Final = "*"
"""Stands for all tenants in the key of a consumer; no tenant can have this name."""

RESERVED: Final = "intent."
"""With this begin the names of the platform's own consumers, which no caller joins or removes."""


_SERVICE: Final = re.compile(r"service:([a-z][a-z0-9_-]*)", re.ASCII)
_USER: Final = re.compile(r"user:([a-z0-9_-]+)", re.ASCII)
_NOBODY: Final = "dev"
"""Whom development takes a caller for who does not say who it is."""
_USERS: Final = "user."


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


def own_prefix(actor: str) -> str:
    """Return with what the names of an actor's consumers begin; empty: it can have none.

    No two actors share a name, whatever they are called, but for ``dev`` and ``user:dev`` in development: a
    service has ``<service>.``, a user ``user.<user>.``, and whose name has dots or other characters of its
    own has none.

    Args:
        actor: Who it is, e.g. ``service:shipping``.
    """
    if service := _SERVICE.fullmatch(actor):
        prefix = f"{service[1]}."
        return "" if prefix in (RESERVED, _USERS) else prefix
    user = _USER.fullmatch("user:dev" if actor == _NOBODY else actor)
    return f"{_USERS}{user[1]}." if user else ""


def partition_of(key: StreamKey, total: int) -> int:
    """Return the partition of a stream, from 0 up; the SQL function of the same name agrees.

    Checkpoints depend on it, so it must never change for a consumer that exists.

    Args:
        key: The stream.
        total: How many partitions there are.
    """
    digest = hashlib.sha256("\x1f".join(key).encode()).digest()
    return int.from_bytes(digest[:4], "big") % total
