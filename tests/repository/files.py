"""What the repository consists of."""

from __future__ import annotations

import subprocess
import sys
from functools import cache
from pathlib import Path

__all__ = ["PACKAGES", "PLATFORM", "ROOT", "ROOT_MODULES", "lint_imports", "tracked"]

ROOT = Path(__file__).parents[2]
PLATFORM = ROOT / "shared" / "intent"
PACKAGES = sorted(path.parent.name for path in PLATFORM.glob("*/__init__.py"))
ROOT_MODULES = sorted(path.stem for path in PLATFORM.glob("*.py") if path.stem != "__init__")


@cache
def tracked() -> tuple[Path, ...]:
    """Return the tracked files that exist."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    paths = (ROOT / name for name in listed.stdout.split("\0") if name)
    return tuple(path for path in paths if path.is_file())


def lint_imports(root: Path) -> subprocess.CompletedProcess[str]:
    """Check the imports of a tree against the contracts in it."""
    return subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-logo", "--no-cache"],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
