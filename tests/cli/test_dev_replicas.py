"""`intent dev --replicas`: a context as several processes on one machine, and `make demo` on that."""

from __future__ import annotations

import json
import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from .conftest import Dev, running_dev
from .running import ORDER, demo, environment, intent, lives, wait_until

SWIFT = {
    "PAYMENTS_PROVIDER_LATENCY_MS": "5",
    "PAYMENTS_PROVIDER_SLOW_MS": "500",
    "SHIPPING_CARRIER_LATENCY_MS": "5",
    "SHIPPING_CARRIER_SLOW_MS": "500",
    "SHIPPING_CARRIER_HAND_OVER_MS": "200",
    "SHIPPING_CARRIER_ARRIVE_MS": "200",
}


@pytest.fixture(scope="module")
def doubled() -> Iterator[Dev]:
    """Run `intent dev` with two processes of orders, in a folder that every user may enter."""
    with tempfile.TemporaryDirectory(prefix="intent-dev-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        with running_dev(Path(folder), "--replicas", "orders=2", **SWIFT) as running:
            yield running


def _pid_of(port: str) -> int:
    """Return the process that listens on a port, by its variables."""
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            variables = (entry / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if f"INTENT_PORT={port}".encode() in variables and lives(int(entry.name)):
            return int(entry.name)
    return 0


def _place(dev: Dev, target: str, order_id: str) -> int:
    order = json.dumps({**ORDER, "order_id": order_id})
    options = ("--target", target, "--tenant", "demo")
    return intent(
        "send", "PlaceOrder", order, *options, env=environment(INTENT_DEV_DATA=str(dev.folder))
    ).code


def test_everything_of_the_demo_adds_up_and_again_on_the_same_data(doubled: Dev) -> None:
    for seed in ("1", "2"):
        done = demo(doubled.folder, "--orders", "10", "--tenants", "2", "--seed", seed)
        assert done.code == 0, done.out + done.err
        assert "delivered and paid" in done.out
        sums = [line for line in done.out.splitlines() if line.startswith("│ shop-")]
        assert [line.split("│")[-2].strip() for line in sums] == ["yes", "yes"]


def test_each_process_has_its_port_its_log_and_its_supervision(doubled: Dev) -> None:
    address = doubled.state.contexts["orders"]
    (other,) = address.others
    wait_until(lambda: other in doubled.output.read_text(), 30, "its address is shown")
    assert (doubled.folder / "logs" / "orders-2.log").exists()
    assert [_place(doubled, target, f"o-{n}") for n, target in enumerate((address.target, other))] == [0, 0]

    killed = _pid_of(other.rpartition(":")[2])
    os.kill(killed, signal.SIGKILL)
    # Meanwhile its neighbour continues, and it is restarted.
    assert _place(doubled, address.target, "o-3") == 0
    wait_until(lambda: "orders-2 ended by signal 9" in doubled.output.read_text(), 30, "its end is shown")
    wait_until(lambda: _pid_of(other.rpartition(":")[2]) not in {0, killed}, 60, "it runs again")
    wait_until(lambda: _place(doubled, other, "o-4") == 0, 60, "it serves again")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("ordes=2", "--replicas ordes=2: there is no context ordes; installed are: "),
        ("orders=many", "--replicas orders=many must be a number up to 10, or CONTEXT=NUMBER"),
        ("0", "--replicas 0 must be a number up to 10"),
    ],
)
def test_wrong_replicas_are_refused(given: str, message: str, tmp_path: Path) -> None:
    done = intent("dev", "--replicas", given, cwd=tmp_path)
    assert (done.code, message in done.err) == (2, True), done.err
