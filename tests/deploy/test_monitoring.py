"""Alerts and dashboards query series that exist, of the release alone, and say what to do."""

from __future__ import annotations

import re

import pytest

from .charts import ROOT, Manifest, rendered
from .monitoring import dashboards, expressions, rules, selectors


@pytest.fixture(scope="module")
def manifests() -> list[Manifest]:
    return rendered("orders", "prod", "monitoring")


def test_every_query_reads_series_of_the_release_alone(manifests: list[Manifest]) -> None:
    asked = list(expressions(manifests))
    assert len(asked) > 40
    for expression in asked:
        read = selectors(expression)
        assert read, expression
        for selector in read:
            labels = {matcher.name: matcher.value for matcher in selector.matchers.matchers}
            assert (labels["namespace"], labels["job"]) == ("shop", "orders"), expression


def test_alerts_can_be_distinguished_and_say_what_to_do(manifests: list[Manifest]) -> None:
    names = [rule["alert"] for rule in rules(manifests)]
    assert len(names) == len(set(names)) >= 12
    for rule in rules(manifests):
        assert rule["labels"]["severity"] in {"critical", "warning"}
        assert rule["labels"]["context"] == "orders"
        assert "orders" in rule["annotations"]["summary"]
        assert rule["annotations"]["description"].endswith(".")


def test_the_runbook_has_every_alert(manifests: list[Manifest]) -> None:
    headings = re.findall(r"^### (\w+)$", (ROOT / "docs" / "runbook.md").read_text(), re.MULTILINE)
    assert set(headings) == {rule["alert"] for rule in rules(manifests)}


def test_dashboards_fit_their_grid(manifests: list[Manifest]) -> None:
    found = dashboards(manifests)
    assert len({dashboard["uid"] for dashboard in found}) == len(found) == 2
    for dashboard in found:
        taken: set[tuple[int, int]] = set()
        for panel in dashboard["panels"]:
            place = panel["gridPos"]
            cells = {
                (x, y)
                for x in range(place["x"], place["x"] + place["w"])
                for y in range(place["y"], place["y"] + place["h"])
            }
            assert not cells & taken
            assert max(x for x, _ in cells) < 24
            taken |= cells
            assert all(
                "__" not in str(target["expr"]).replace("$__rate_interval", "")
                for target in panel.get("targets", ())
            )


def test_two_releases_have_dashboards_of_their_own() -> None:
    first, second = (
        dashboards(rendered(context, "prod", "monitoring")) for context in ("orders", "payments")
    )
    assert {one["uid"] for one in first}.isdisjoint(one["uid"] for one in second)
    assert {one["title"] for one in first}.isdisjoint(one["title"] for one in second)
