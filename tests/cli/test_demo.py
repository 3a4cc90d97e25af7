"""`make demo`, without a running `intent dev`; test_dev_replicas.py has it beside one."""

from __future__ import annotations

from pathlib import Path

from .running import demo


def test_without_make_dev_it_says_what_to_do(tmp_path: Path) -> None:
    done = demo(tmp_path)
    assert done.code == 3
    assert done.out.strip() == (
        f"make dev is not running here ({tmp_path}); "
        "start it with make dev in another terminal, then run make demo again"
    )
