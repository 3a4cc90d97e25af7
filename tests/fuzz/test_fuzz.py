"""What nobody expects, sent to everything that takes something: short, and the same inputs each time."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from .campaign import Campaign
from .inputs import Input, read, written
from .rounds import Failed, keep, kept, round_of
from .surfaces import SURFACES, Surface
from .target import GROWTH, Target, target

_INPUTS = 150
CALLED = [surface for surface in SURFACES.values() if surface.calls]
PARSED = [surface for surface in SURFACES.values() if surface.reads]


def names(surfaces: list[Surface]) -> list[str]:
    return [surface.name for surface in surfaces]


@pytest.fixture(scope="module")
def process() -> Iterator[Target]:
    folder = Path(tempfile.mkdtemp(prefix="intent-tests-"))
    try:
        with target("orders", folder) as asked:
            yield asked
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def warm(process: Target, tmp_path_factory: pytest.TempPathFactory) -> Target:
    """The process once it has seen everything, with its memory measured."""
    campaign = Campaign("orders", process, tmp_path_factory.mktemp("fuzz"), say=lambda line: None)
    campaign.warm_up(CALLED, _INPUTS)
    assert not campaign.failures, [path.read_text() for path in campaign.failures]
    return process


@pytest.mark.parametrize("surface", CALLED, ids=names(CALLED))
def test_a_process_bears_whatever_it_is_sent(surface: Surface, warm: Target) -> None:
    assert round_of(surface, surface.sends(warm), "orders", 1, _INPUTS) >= _INPUTS // 4
    assert warm.resident() <= GROWTH * warm.before


@pytest.mark.parametrize("surface", PARSED, ids=names(PARSED))
def test_a_parser_bears_whatever_it_is_given(surface: Surface) -> None:
    assert round_of(surface, surface.sends(None), "orders", 1, _INPUTS) >= _INPUTS // 4


def test_an_input_that_fails_is_made_small_and_kept_to_be_sent_again(tmp_path: Path) -> None:
    def reads(given: Input) -> None:
        assert "$" not in given["text"], "there is a dollar"

    fussy = Surface("urls", "Refuses dollars.", SURFACES["urls"].makes, reads=reads)
    sneaky = Surface(
        "urls",
        "",
        lambda context: lambda dice: {"text": "a$" if len(dice) > 2 else "a", "bytes": b"\xff"},
        reads=reads,
    )
    with pytest.raises(Failed, match="there is a dollar") as failed:
        round_of(sneaky, sneaky.sends(None), "orders", 1, 500)
    assert len(failed.value.inputs) == 1
    path = keep(failed.value, tmp_path)
    assert kept(path) == ("urls", [{"text": "a$", "bytes": b"\xff"}])
    said: list[str] = []
    campaign = Campaign("orders", None, tmp_path, said.append)
    assert campaign.repeat(fussy, kept(path)[1]) == 1
    assert "there is a dollar" in said[0]


def test_equal_seeds_make_equal_inputs() -> None:
    def inputs(seed: int) -> list[str]:
        seen: list[str] = []
        for surface in SURFACES.values():
            round_of(surface, lambda sent: seen.extend(map(written, sent)), "orders", seed, 20)
        return seen

    assert inputs(1) == inputs(1)
    assert inputs(1) != inputs(2)
    assert all(read(text) is not None for text in inputs(1))
