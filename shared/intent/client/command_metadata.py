"""The metadata of a command."""

from __future__ import annotations

from intent.client.callers import Pairs
from intent.wire import metadata as keys

__all__ = ["command_pairs"]


def command_pairs(
    command_id: str,
    expected_version: int | None,
    correlation_id: str,
    causation_id: str,
    applied_only: bool,
) -> Pairs:
    """Return what the metadata says of a command; see `IntentClient.execute`."""
    pairs = {
        keys.COMMAND_ID: command_id,
        keys.EXPECTED_VERSION: None if expected_version is None else str(expected_version),
        keys.CORRELATION_ID: correlation_id or None,
        keys.CAUSATION_ID: causation_id or None,
        keys.CONSISTENCY: "applied" if applied_only else None,
    }
    return tuple((key, value) for key, value in pairs.items() if value is not None)
