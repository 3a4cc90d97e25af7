"""Keys for MACs."""

from __future__ import annotations

from pathlib import Path

import pytest

from .signed import add


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    """A folder with one key."""
    add(tmp_path / "keys", "2026-11")
    return tmp_path / "keys"
