"""Addresses over which nobody on the way can read or change what is sent."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit

__all__ = ["is_local", "is_protected"]


def is_protected(url: str) -> bool:
    """Return whether a URL is one of https, or of this machine."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    if parts.scheme == "http":
        return _is_loopback(parts.netloc)
    return parts.scheme == "https" and bool(parts.netloc)


def is_local(target: str) -> bool:
    """Return whether a target of gRPC is on this machine, whatever resolves names.

    Args:
        target: E.g. ``127.0.0.1:7400``, ``dns:///localhost:7400`` or ``unix:/run/orders``.
    """
    scheme, colon, rest = target.partition(":")
    if colon and scheme in ("unix", "unix-abstract"):
        return True
    if colon and scheme in ("ipv4", "ipv6"):
        return all(_is_loopback(part) for part in rest.split(","))
    if colon and scheme == "dns":
        target = rest.removeprefix("///")
    return _is_loopback(target)


def _is_loopback(address: str) -> bool:
    """Return whether ``host:port`` or ``[host]:port`` has a host that means this machine."""
    try:
        host = urlsplit(f"//{address}").hostname or ""
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
