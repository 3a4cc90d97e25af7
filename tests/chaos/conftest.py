"""Folders for the machinery of a module's tests."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def own_folder() -> Iterator[Path]:
    """A folder that every user may enter, as whom PostgreSQL runs under root."""
    folder = Path(tempfile.mkdtemp(prefix="intent-tests-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)
