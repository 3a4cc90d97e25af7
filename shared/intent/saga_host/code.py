"""The code of sagas as the process has imported it, from which their sandboxes load it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import InspectLoader, Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import CodeType, ModuleType

__all__ = ["keep_code"]


class _KeptCode(MetaPathFinder, Loader):
    """An importer of modules whose code is kept in memory.

    A sandbox loads the modules of a saga again for each workflow. Python would look for their files
    each time, and read them. That is slow, since every system call hands the interpreter's lock to
    another thread, and wrong when a file has changed under a process that runs the earlier code.
    """

    def __init__(self) -> None:
        self._kept: dict[str, tuple[ModuleSpec, CodeType]] = {}

    def keep(self, package: str) -> None:
        """Keep the code of the modules of a package that the process has imported."""
        for name, module in list(sys.modules.items()):
            if name not in self._kept and f"{name}.".startswith(f"{package}."):
                self._keep(name, module.__spec__)

    def _keep(self, name: str, spec: ModuleSpec | None) -> None:
        if spec is not None and isinstance(spec.loader, InspectLoader):
            code = spec.loader.get_code(name)
            if code is not None:
                self._kept[name] = spec, code

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find a module whose code is kept, unless it is reloaded, which is meant to change it."""
        kept = self._kept.get(fullname)
        if kept is None or target is not None:
            return None
        spec = ModuleSpec(fullname, self, origin=kept[0].origin)
        spec.submodule_search_locations = kept[0].submodule_search_locations
        spec.has_location = kept[0].has_location
        return spec

    def exec_module(self, module: ModuleType) -> None:
        """Run the code of a module."""
        exec(self._kept[module.__name__][1], module.__dict__)  # noqa: S102 - what an import does


_kept_code = _KeptCode()


def keep_code(module: str) -> None:
    """Make sandboxes load the package of a module as the process has it.

    Args:
        module: The full name of a module that is imported, such as `orders.sagas`.
    """
    if _kept_code not in sys.meta_path:
        sys.meta_path.insert(0, _kept_code)
    _kept_code.keep(module.partition(".")[0])
