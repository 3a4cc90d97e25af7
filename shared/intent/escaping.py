"""Escapes what a terminal or a log would act on instead of showing it."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["escaped", "json_escape"]

_HIDDEN: Final = re.compile(
    "["
    "\x00-\x1f\x7f-\x9f"  # control characters, escape sequences among them
    "\u2028\u2029"  # separators of lines and paragraphs
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # what changes the direction of the text that follows
    "\ud800-\udfff"  # halves of surrogate pairs, which no encoding can write
    "]"
)
_SHORT: Final = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def escaped(text: str, *, lines: bool = False) -> str:
    r"""Return a text with every hidden character as an escape of JSON, e.g. ``\u001b``.

    Hidden are control characters, bidirectional controls, separators of lines and lone surrogates. JSON
    stays valid JSON with the same meaning.

    Args:
        text: The text, often written by somebody else.
        lines: Whether line feeds stay what they are.
    """

    def escape(match: re.Match[str]) -> str:
        return match[0] if lines and match[0] == "\n" else _SHORT.get(match[0]) or json_escape(match[0])

    return _HIDDEN.sub(escape, text)


def json_escape(text: str) -> str:
    r"""Return every character of a text as JSON escapes it: ``\uXXXX``, beyond U+FFFF a pair of them."""
    units = text.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{high:02x}{low:02x}" for high, low in zip(units[::2], units[1::2], strict=True))
