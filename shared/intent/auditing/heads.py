"""The ends of the chains, to be kept elsewhere and compared later."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Final, NamedTuple

from intent.auditing.chain import PARTS
from intent.errors import ConfigurationError

__all__ = ["ExportedHeads", "Head", "heads_from", "heads_text"]

_DIGEST: Final = 32
"""Bytes of a digest."""


class Head(NamedTuple):
    """The end of what is recorded in the log or in the audit.

    Attributes:
        position: The position of its last row.
        number: The number of the last link of the chain.
        chained: The position up to which the chain leads.
        digest: The digest over everything up to there.
    """

    position: int
    number: int
    chained: int
    digest: bytes


class ExportedHeads(NamedTuple):
    """The ends of both chains of a context at one moment.

    Attributes:
        context: The context.
        at: When they were exported.
        heads: The heads of ``events`` and ``audit``.
    """

    context: str
    at: datetime
    heads: Mapping[str, Head]


def heads_text(exported: ExportedHeads) -> str:
    """Return exported heads as the text of a file, which `heads_from` reads."""
    parts = {
        name: {"position": head.chained, "link": head.number, "digest": head.digest.hex()}
        for name, head in exported.heads.items()
    }
    return json.dumps({"context": exported.context, "at": exported.at.isoformat(), **parts})


def heads_from(text: str) -> ExportedHeads:
    """Return what `heads_text` has written.

    Raises:
        ConfigurationError: The text is something else.
    """
    try:
        values = json.loads(text)
        heads = {name: _head(values[name]) for name in PARTS}
        return ExportedHeads(str(values["context"]), datetime.fromisoformat(values["at"]), heads)
    except (ValueError, TypeError, KeyError) as error:
        raise ConfigurationError(
            f"the file holds no heads ({type(error).__name__}: {error}); `intent audit head` writes them"
        ) from error


def _head(values: Mapping[str, object]) -> Head:
    position, number = int(str(values["position"])), int(str(values["link"]))
    digest = bytes.fromhex(str(values["digest"]))
    if len(digest) != _DIGEST:
        raise ValueError(f"a digest has {_DIGEST} bytes")
    return Head(position, number, position, digest)
