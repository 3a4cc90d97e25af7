"""Inputs as plain values, which a file can hold, and how they are changed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from random import Random
from typing import Any, Final, TypeAlias

__all__ = [
    "NUMBERS",
    "TEXTS",
    "Edit",
    "Input",
    "edit",
    "edited",
    "edits",
    "nested",
    "number",
    "read",
    "text",
    "value",
    "written",
]

Input: TypeAlias = dict[str, Any]
"""What a surface sends: made of texts, bytes, numbers, lists and objects."""
Edit: TypeAlias = tuple[str, int, bytes]
"""What is done to bytes, where (in thousandths of their length), and with which others."""

_BYTES: Final = "$bytes"
_MOST: Final = 256 * 1024
_KINDS: Final = ("insert", "overwrite", "delete", "cut", "flip", "double")
_PIECES: Final = (
    b"",
    b"\0",
    b"\xff",
    b"\xc3\x28",
    b"\xed\xa0\x80",
    b"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01",
    b"\x0a\xff\xff\xff\xff\x0f",
    b"\x7b" * 150,
    b"\x0b\x0c",
    b"A" * 300,
    b'"',
    b"[[",
    b"{}",
    b"\\u0000",
    b"\\ud800",
    b"9" * 30,
    b"%00",
    b"@/:?#",
    b"=,;",
    b".",
    b"\r\n",
)
TEXTS: Final = (
    "",
    " ",
    "0",
    "-1",
    "a",
    "A",
    "*",
    "o-1",
    "o-2",
    "acme",
    "user:ann",
    "\0",
    "\x1b[2J",
    "\u202e",
    "\ufeff",
    "\U0001f600" * 10,
    "ä" * 64,
    "e\u0301",
    "' or 1=1 --",
    "%s%n{0}${x}",
    "../../etc/passwd",
    "a" * 63,
    "a" * 64,
    "a" * 129,
    "x" * 1_001,
    "9" * 19,
    "9" * 400,
    "00000000-0000-0000-0000-000000000000",
    "0192f0c1-0000-7000-8000-000000000000",
    "2026-01-31T12:00:00Z",
    "EUR",
    "DE",
    "NaN",
    "1e999",
    "null",
    "orders.v1.PlaceOrder",
    "type.googleapis.com/orders.v1.ConfirmOrder",
    "[",
    '"',
)
_LETTERS: Final = (*range(128), 0xE4, 0x2028, 0x202E, 0xFFFD, 0xFFFF, 0x1F600)
_REALS: Final = (0.0, -0.0, 0.5, 1.0, -1.5, 1e300, 1e-320, float("inf"), float("-inf"), float("nan"))
NUMBERS: Final = (
    *(0, 1, -1, 2, 7, 100, 255, 256, 1_000, 1_001, 65_536),
    *(2**31 - 1, -(2**31), 2**31, 2**32 - 1, 2**53, 2**63 - 1, -(2**63), 2**64 - 1, 10**18),
)


def text(dice: Random) -> str:
    """Return a text: mostly one that has broken programs before."""
    if dice.random() < 0.8:
        return dice.choice(TEXTS)
    return "".join(chr(dice.choice(_LETTERS)) for _ in range(dice.randrange(12)))


def number(dice: Random, low: int, high: int) -> int:
    """Return a whole number of a range: mostly one at the ends of a type."""
    known = dice.choice(NUMBERS)
    return known if low <= known <= high and dice.random() < 0.8 else dice.randint(low, high)


def value(dice: Random, depth: int = 3) -> Any:
    """Return a value of JSON."""
    kind = dice.randrange(8 if depth else 6)
    if kind == 6:
        return [value(dice, depth - 1) for _ in range(dice.randrange(4))]
    if kind == 7:
        return {text(dice): value(dice, depth - 1) for _ in range(dice.randrange(4))}
    single = (None, dice.random() < 0.5, dice.choice(NUMBERS), dice.choice(_REALS), text(dice), text(dice))
    return single[kind]


def edit(dice: Random) -> Edit:
    """Return a change of bytes."""
    piece = dice.choice(_PIECES) if dice.random() < 0.7 else dice.randbytes(dice.randrange(8))
    return dice.choice(_KINDS), dice.randrange(1_001), piece


def edits(dice: Random, most: int = 3) -> list[Edit]:
    """Return changes of bytes; half the time none."""
    return [edit(dice) for _ in range(dice.choice((0, *range(most + 1))))]


def edited(data: bytes, changes: Sequence[Edit]) -> bytes:
    """Return bytes after changes of them."""
    for kind, place, piece in changes:
        at = len(data) * place // 1_000
        match kind:
            case "insert":
                data = data[:at] + piece + data[at:]
            case "overwrite":
                data = data[:at] + piece + data[at + len(piece) :]
            case "delete":
                data = data[:at] + data[at + max(1, len(piece)) :]
            case "cut":
                data = data[:at]
            case "flip" if at < len(data):
                data = data[:at] + bytes([data[at] ^ (1 << place % 8)]) + data[at + 1 :]
            case "double":
                data = data + data[at:]
    return data[:_MOST]


def nested(depth: int, opening: str = "[", closing: str = "]") -> str:
    """Return JSON that is nested deeply."""
    return opening * depth + closing * depth


def written(value: Any) -> str:
    """Return an input as text."""
    return json.dumps(_plain(value), indent=1, ensure_ascii=True)


def read(text: str) -> Any:
    """Return the input of a text."""
    return json.loads(text, object_hook=_bytes)


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return {_BYTES: value.hex()}
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list | tuple) else value


def _bytes(value: dict[str, Any]) -> Any:
    return bytes.fromhex(value[_BYTES]) if value.keys() == {_BYTES} else value
