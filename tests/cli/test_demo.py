"""`make demo`, beside a running `intent dev` and without one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from .conftest import running_dev
from .running import environment

ROOT = Path(__file__).parents[2]
SWIFT = {
    "PAYMENTS_PROVIDER_LATENCY_MS": "5",
    "PAYMENTS_PROVIDER_SLOW_MS": "500",
    "SHIPPING_CARRIER_LATENCY_MS": "5",
    "SHIPPING_CARRIER_SLOW_MS": "500",
    "SHIPPING_CARRIER_HAND_OVER_MS": "200",
    "SHIPPING_CARRIER_ARRIVE_MS": "200",
}


def _demo(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "demo", "--data", str(folder), *arguments],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )


def test_everything_adds_up_and_again_on_the_same_data(dev_folder: Path) -> None:
    folder = dev_folder / "demo"
    folder.mkdir()
    with running_dev(folder, **SWIFT):
        for seed in ("1", "2"):
            done = _demo(folder, "--orders", "10", "--tenants", "2", "--seed", seed)
            assert done.returncode == 0, done.stdout + done.stderr
            assert "delivered and paid" in done.stdout
            sums = [line for line in done.stdout.splitlines() if line.startswith("│ shop-")]
            assert [line.split("│")[-2].strip() for line in sums] == ["yes", "yes"]


def test_without_make_dev_it_says_what_to_do(tmp_path: Path) -> None:
    done = _demo(tmp_path)
    assert done.returncode == 3
    assert done.stdout.strip() == (
        f"make dev is not running here ({tmp_path}); "
        "start it with make dev in another terminal, then run make demo again"
    )
