"""A change of the charts shows what it changes of the objects."""

from __future__ import annotations

import difflib

import pytest

from .golden import GOLDEN, kept, renders


@pytest.fixture(scope="module")
def found() -> dict[str, str]:
    return renders()


def test_the_renders_are_those_that_were_looked_at(found: dict[str, str]) -> None:
    changed: list[str] = []
    for name, text in found.items():
        if kept(name).exists() and kept(name).read_text() != text:
            changed += difflib.unified_diff(
                kept(name).read_text().splitlines(),
                text.splitlines(),
                f"{name} kept",
                f"{name} now",
                "",
                "",
                2,
                "",
            )
    assert not changed, "look at the changes, then run make golden:\n" + "\n".join(changed[:200])


def test_no_render_is_kept_of_what_is_gone(found: dict[str, str]) -> None:
    assert {path.stem for path in GOLDEN.glob("*.yaml")} <= found.keys()


def test_what_is_new_has_a_render(found: dict[str, str]) -> None:
    missing = [name for name in found if not kept(name).exists()]
    if missing:
        pytest.skip(f"no render is kept of {', '.join(missing)}; look at it, then run make golden")
