"""Domain code stays free of I/O: importing a context loads none of the libraries that do any."""

from __future__ import annotations

import subprocess
import sys

import pytest

_SCRIPT = """
import sys
import {module}
print(*sorted({{"asyncpg", "grpc", "sqlalchemy", "temporalio"}} & set(sys.modules)))
"""


@pytest.mark.parametrize("module", ["orders.context", "intent.testing", "intent.store.port"])
def test_importing_the_pure_part_loads_no_library_that_does_io(module: str) -> None:
    script = _SCRIPT.format(module=module)
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout.split() == []
