"""What carries no MAC is believed in windows, and a decision of before stays what it was."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from intent.errors import ConfigurationError
from intent.settings.config import load_settings
from intent.settings.signing import Window
from intent.temporal import data_converter
from intent.temporal.signing import PayloadRefused

from .signed import BATCH, converter, got, opened, sent, turn

NOON = datetime(2026, 12, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


async def test_what_carries_no_mac_is_believed_until_a_moment(keys: Path) -> None:
    soon, before = datetime.now(UTC) + timedelta(hours=1), datetime.now(UTC) - timedelta(seconds=1)
    assert await got(converter(keys, unsigned=[Window(None, soon)]), await sent(data_converter)) == BATCH
    with pytest.raises(PayloadRefused):
        await got(converter(keys, unsigned=[Window(None, before)]), await sent(data_converter))
    forged = await sent(data_converter)
    forged.metadata["intent-mac"] = b"x" * 40
    with pytest.raises(PayloadRefused):
        await got(converter(keys, unsigned=[Window(None, soon)]), forged)


def test_half_of_the_settings_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="set INTENT_TEMPORAL_KEYS as well"):
        load_settings(temporal_unsigned_until="2027-01-31T12:00:00Z")
    with pytest.raises(ConfigurationError, match="INTENT_TEMPORAL_UNSIGNED_UNTIL"):
        load_settings(temporal_keys="keys", temporal_unsigned_until="tomorrow")


def windows(text: str) -> Sequence[Window]:
    return load_settings(temporal_keys="keys", temporal_unsigned_until=text).temporal_unsigned_until


def test_windows_are_read_as_they_are_written() -> None:
    first, later = Window(None, NOON), Window(NOON + HOUR, NOON + 2 * HOUR)
    assert windows("") == ()
    assert windows("2026-12-01T12:00:00Z") == (first,)
    assert windows("2026-12-01T13:00:00+01:00 , 2026-12-01T13:00:00Z / 2026-12-01T14:00:00Z") == (
        first,
        later,
    )
    assert windows("2026-12-01T13:00:00Z/2026-12-01T14:00:00Z") == (later,)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("2026-12-01T12:00:00", "time with its zone such as"),
        ("2026-12-01T12:00:00Z/", "time with its zone such as"),
        ("/2026-12-01T12:00:00Z", "time with its zone such as"),
        ("2026-12-01T12:00:00Z/2026-12-01T12:00:00Z", "must begin before it ends"),
        ("2026-12-01T12:00:00Z,2027-12-01T12:00:00Z", "append a window that begins now, and change none"),
        (
            "2026-12-01T12:00:00Z,2026-12-01T11:00:00Z/2026-12-01T14:00:00Z",
            "append a window that begins now, and change none",
        ),
    ],
)
def test_windows_that_would_change_decisions_or_are_none_are_refused(text: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=f"INTENT_TEMPORAL_UNSIGNED_UNTIL.*{said}"):
        windows(text)


async def test_a_workflow_decides_by_its_own_time(keys: Path) -> None:
    ours = converter(keys, unsigned=[Window(None, NOON), Window(NOON + HOUR, NOON + 2 * HOUR)])
    unsigned = await sent(data_converter)
    for hours, believed in ((-1, True), (0, False), (0.5, False), (1, True), (1.5, True), (2, False)):
        with turn(at=(NOON + hours * HOUR).timestamp(), judges=True):
            if believed:
                assert opened(ours, unsigned) == BATCH
            else:
                with pytest.raises(PayloadRefused):
                    opened(ours, unsigned)


async def test_what_was_dropped_before_a_window_stays_dropped(keys: Path) -> None:
    before = [Window(None, NOON)]
    after = [*before, Window(NOON + 2 * HOUR, NOON + 3 * HOUR)]
    unsigned, moment = await sent(data_converter), (NOON + HOUR).timestamp()
    for known, replaying in ((before, False), (after, True)):
        with turn(at=moment, replaying=replaying, judges=True), pytest.raises(PayloadRefused):
            opened(converter(keys, unsigned=known), unsigned)
