"""Build hook that generates the contracts' code before the distribution is built."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class GenerateContracts(BuildHookInterface[Any]):
    """Hook that runs ``generate.py`` for wheels and editable installs."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Generate ``src/intent_contracts`` and add it to the build."""
        sys.path.insert(0, str(Path(self.root)))
        from generate import generate

        generate()
        build_data["artifacts"].append("src/intent_contracts/**")
