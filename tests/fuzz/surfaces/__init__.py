"""Everything that takes what others send."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from .answered import ANSWERS
from .called import BODIES, METADATA, TOKENS
from .parsed import JSON, KEYS, PAGES, SETTINGS, URLS
from .surface import Surface

__all__ = ["SURFACES", "Surface"]

SURFACES: Final[Mapping[str, Surface]] = {
    each.name: each for each in (METADATA, TOKENS, BODIES, JSON, SETTINGS, PAGES, URLS, KEYS, ANSWERS)
}
