"""Rows as the arrays that the functions of the schema take."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

__all__ = ["columns"]


def columns(rows: Sequence[tuple[Any, ...]], width: int) -> list[Sequence[Any]]:
    """Return one sequence per column; when there are no rows, `width` empty ones."""
    return list(zip(*rows, strict=True)) if rows else [()] * width
