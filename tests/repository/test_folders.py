"""How the platform is cut: every folder has a layer, none is too large, the tests follow."""

from __future__ import annotations

import configparser
import re
from pathlib import Path

import pytest

from .files import PACKAGES, PLATFORM, ROOT, ROOT_MODULES, lint_imports

_MOST_MODULES = 16
_CROSS_CUTTING = {
    "chaos": "kills and restarts a whole installation",
    "demo": "tests of the folder demo",
    "deploy": "charts, images and rollouts",
    "flow": "orders through all contexts",
    "fuzz": "what others send, to everything that takes it",
    "outside": "contexts with the outside systems that they ask",
    "replay": "histories that former versions recorded",
    "repository": "the repository itself",
    "secrets": "secrets in every place where one can be given",
    "support": "what the tests of several folders share",
}


def _contract(name: str) -> configparser.SectionProxy:
    parser = configparser.ConfigParser()
    parser.read(ROOT / ".importlinter")
    return parser[f"importlinter:contract:{name}"]


def _layers() -> list[list[str]]:
    return [line.split(" | ") for line in _contract("layers")["layers"].split("\n")[1:]]


def test_no_package_has_too_many_modules() -> None:
    # Revisions are a sequence that only grows.
    grows = {PLATFORM, PLATFORM / "store" / "migrations" / "versions"}
    folders = [path.parent for path in PLATFORM.rglob("__init__.py") if path.parent not in grows]
    sizes = {str(folder.relative_to(PLATFORM)): len(list(folder.glob("*.py"))) for folder in folders}
    assert {name: size for name, size in sizes.items() if size > _MOST_MODULES} == {}


def test_everything_of_the_platform_has_one_layer() -> None:
    named = [name for layer in _layers() for name in layer]
    assert sorted(named) == sorted([*PACKAGES, *ROOT_MODULES])
    assert _contract("layers").getboolean("exhaustive")


def test_the_pure_part_is_whole_layers_from_the_bottom_up() -> None:
    pure = {name.removeprefix("intent.") for name in _contract("pure")["source_modules"].split()}
    layers = _layers()
    top = next(number for number, layer in enumerate(layers) if pure & set(layer))
    assert pure == {name for layer in layers[top:] for name in layer}


def test_a_context_may_import_the_pure_part_only() -> None:
    pure = set(_contract("pure")["source_modules"].split())
    forbidden = set(_contract("contexts")["forbidden_modules"].split())
    everything = {f"intent.{name}" for name in (*PACKAGES, *ROOT_MODULES)}
    assert everything - forbidden == pure


@pytest.fixture
def sketch(tmp_path: Path) -> Path:
    """The platform's folders with nothing in them, behind the contract of its layers."""
    layers = _contract("layers")["layers"]
    rules = ["[importlinter]", "root_package = sketch", "", "[importlinter:contract:layers]", "name = Layers"]
    rules += ["type = layers", "containers = sketch", "exhaustive = True"]
    rules += ["layers =", *(f"    {line}" for line in layers.split("\n")[1:])]
    (tmp_path / ".importlinter").write_text("\n".join(rules) + "\n")
    for name in (*PACKAGES, *ROOT_MODULES):
        folder = tmp_path / "sketch" / name
        folder.mkdir(parents=True)
        (folder / "__init__.py").touch()
    (tmp_path / "sketch" / "__init__.py").touch()
    return tmp_path


def _lint(root: Path) -> str:
    """Return what the linter says against a tree; empty when it finds nothing."""
    done = lint_imports(root)
    return done.stdout + done.stderr if done.returncode else ""


def test_a_tree_within_its_layers_is_accepted(sketch: Path) -> None:
    (sketch / "sketch" / "cli" / "__init__.py").write_text("from sketch import dev, errors\n")
    assert _lint(sketch) == ""


@pytest.mark.parametrize(("importer", "imported"), [("store", "commands"), ("errors", "model")])
def test_an_import_upwards_is_refused(sketch: Path, importer: str, imported: str) -> None:
    (sketch / "sketch" / importer / "__init__.py").write_text(f"import sketch.{imported}\n")
    assert re.search(rf"sketch\.{importer} -> sketch\.{imported}", _lint(sketch))


@pytest.mark.parametrize("layer", [layer for layer in _layers() if len(layer) > 1], ids=" | ".join)
def test_neighbours_in_a_layer_do_not_import_each_other(sketch: Path, layer: list[str]) -> None:
    (sketch / "sketch" / layer[0] / "__init__.py").write_text(f"import sketch.{layer[1]}\n")
    assert re.search(rf"sketch\.{layer[0]} -> sketch\.{layer[1]}", _lint(sketch))


def test_a_folder_without_a_layer_is_refused(sketch: Path) -> None:
    (sketch / "sketch" / "miscellaneous").mkdir()
    (sketch / "sketch" / "miscellaneous" / "__init__.py").touch()
    assert "miscellaneous" in _lint(sketch)


def test_the_tests_are_in_folders_named_after_the_platforms() -> None:
    folders = {path.name for path in (ROOT / "tests").iterdir() if path.is_dir() and path.name[0] not in "._"}
    assert folders - set(PACKAGES) == set(_CROSS_CUTTING)
