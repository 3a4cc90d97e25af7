"""Build hook: generates the contracts' code before the distribution is built."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class GenerateContracts(BuildHookInterface[Any]):
    """Runs ``generate.py`` for wheels and editable installs alike."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Generates ``src/intent_contracts`` and adds it to the build."""
        sys.path.insert(0, str(Path(self.root)))
        from generate import generate

        generate()
        build_data["artifacts"].append("src/intent_contracts/**")
