"""What comes from Temporal and is refused is counted and logged, and floods nothing."""

from __future__ import annotations

import logging

import pytest
from intent.settings.config import load_settings
from intent.telemetry.metrics import Metrics
from intent.telemetry.refusals import Refusals, warn_without_keys
from intent.temporal.signing import MAC_INVALID, Refusal

FORGED = Refusal(MAC_INVALID, "intent.v1.CommandBatch", "workflow", "orders/commands/\x1b[2J", "ab12")


def test_each_is_counted_and_the_first_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    metrics = Metrics()
    refusals = Refusals(metrics)
    for _ in range(500):
        refusals(FORGED)
    assert (
        'intent_temporal_refusals_total{place="workflow",reason="MAC_INVALID"} 500.0'
        in metrics.text().decode()
    )
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 20
    assert lines[0].startswith(
        "intent.v1.CommandBatch for workflow of orders/commands/\\u001b[2J is refused: "
    )
    assert lines[0].endswith("copied from elsewhere (key ab12)")


def test_production_without_keys_says_what_that_means(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    warn_without_keys(load_settings(dev=True))
    warn_without_keys(load_settings(temporal_keys="keys"))
    assert not caplog.records
    warn_without_keys(load_settings())
    assert "whoever writes to the namespace default is believed: set INTENT_TEMPORAL_KEYS" in caplog.text
