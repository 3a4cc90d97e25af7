"""Addresses over which nobody on the way can read or change what is sent."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

__all__ = ["is_protected"]

_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})


def is_protected(url: str) -> bool:
    """Return whether a URL is one of https, or of this machine."""
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        return False
    return bool(host) and (parts.scheme == "https" or (parts.scheme == "http" and host in _LOOPBACK))
