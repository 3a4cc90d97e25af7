"""Record histories of sagas that are held up: ``python -m tests.replay.record_examples [release]``.

Real contexts have no handlers that raise and no ports that never answer, so these are the histories of the
sagas in `tests.saga_host.test_delays`. Like those of `record_sagas` they are never changed or removed.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.saga_host.scripted_contexts import RECORDED_FOR

_TESTS = Path(__file__).parents[1] / "saga_host" / "test_delays.py"


def main(release: str = "1") -> int:
    """Run the tests and keep the histories that they replay."""
    os.environ[RECORDED_FOR] = release
    return pytest.main(["-q", "-p", "no:cacheprovider", str(_TESTS)])


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
