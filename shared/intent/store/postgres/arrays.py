"""Rows as the arrays that the functions of the schema take."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

__all__ = ["columns"]


def columns(rows: Sequence[tuple[Any, ...]], width: int) -> list[Sequence[Any]]:
    """Returns one sequence per column; `width` of them, when there are no rows too."""
    return list(zip(*rows, strict=True)) if rows else [()] * width
