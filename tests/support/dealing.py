"""How files of tests are dealt out to the processes of a run."""

from __future__ import annotations

from typing import Final

from xdist.scheduler import LoadFileScheduling  # type: ignore[import-untyped]

_TOGETHER: Final = frozenset(
    f"tests/cli/test_{name}.py" for name in ("everywhere", "parked", "sagas", "tilt_scripts", "tour")
)
"""Files that share an `intent dev`, which takes long to start."""


class Dealing(LoadFileScheduling):  # type: ignore[misc]
    """Deal out file by file, and files that share something costly as one."""

    def _split_scope(self, nodeid: str) -> str:
        file: str = super()._split_scope(nodeid)
        return "tests/cli" if file in _TOGETHER else file
