"""All contexts as one release: installed by the real helm, and each answers a command of its own."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from .charts import CONTEXTS, built_platform, options
from .sites import Site, double_site


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with double_site(tmp_path / "cluster", CONTEXTS) as found:
        yield found


def test_the_platform_serves_every_context(site: Site, tmp_path: Path) -> None:
    values = {
        "global.temporal.address": site.values["temporal.address"],
        "global.temporal.namespace": site.values["temporal.namespace"],
        **{f"{context}.migrate.provision": "true" for context in CONTEXTS},
        **{f"{context}.server.replicas": "1" for context in CONTEXTS},
    }
    site.helm("install", "intent", built_platform(tmp_path), *options(values=values), "--wait")
    tested = site.helm("test", "intent")
    passed = re.findall(r"TEST SUITE: +intent-(\w+)-test\n.*\n.*\nPhase: +Succeeded", tested)
    assert set(passed) >= set(CONTEXTS), f"{tested}\n{site.logs()}"
