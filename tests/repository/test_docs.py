"""The pages say what is there: folders, files, modules, links."""

from __future__ import annotations

import ast
import configparser
import pkgutil
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from .files import PACKAGES, PLATFORM, ROOT, ROOT_MODULES, tracked

_ADAPTERS = ("asyncpg", "grpc", "temporalio")
_EXTENSIONS = "binpb|ini|json|md|proto|py|sql|toml|txt|yaml"
_ELSEWHERE = ("buf/", "loyalty")
"""Parts of paths that are not of this repository: a package's, and those of the context in a guide."""
_NO_MODULES = ("intent.contexts", "intent.tenant", "intent.v1")
"""Dotted names of other things: an entry point group, a setting of PostgreSQL, the proto package."""


@cache
def _pages() -> tuple[Path, ...]:
    """Return the pages that people write, generated ones among them."""
    return tuple(path for path in tracked() if path.suffix == ".md" and not path.name.endswith(".head.md"))


def _guides() -> Iterator[tuple[str, str]]:
    """Yield the name and text of the pages that speak of the repository as it is; the changelog does not."""
    for path in _pages():
        name = path.relative_to(ROOT)
        if name.parts[0] == "docs" or (len(name.parts) == 1 and name.name != "CHANGELOG.md"):
            yield str(name), path.read_text()


def _table(page: str, heading: str) -> Iterator[list[str]]:
    """Yield the rows of the last table below a heading."""
    section = page.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    table = re.findall(r"(?:^\|.*\n)+", section, re.MULTILINE)[-1]
    for row in table.splitlines()[2:]:
        yield [cell.strip().strip("`") for cell in row.strip("|").split("|")]


def _architecture() -> str:
    return (ROOT / "docs" / "architecture.md").read_text()


def _imported(path: Path) -> set[str]:
    """Return the top names that the modules of a folder, or one module, import anywhere."""
    names: set[str] = set()
    for module in path.rglob("*.py") if path.is_dir() else [path]:
        for node in ast.walk(ast.parse(module.read_text())):
            if isinstance(node, ast.Import):
                names.update(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                names.add(node.module or "")
    return {name.split(".")[0] for name in names}


def test_every_folder_of_the_platform_has_a_row_and_no_other_has() -> None:
    rows = [row[0] for row in _table(_architecture(), "Folders")]
    assert sorted(rows) == sorted([*PACKAGES, *(f"{name}.py" for name in ROOT_MODULES)])


def test_the_rows_say_what_each_folder_imports() -> None:
    said = {row[0]: row[2] for row in _table(_architecture(), "Folders")}
    known = {name: _imported(PLATFORM / name) for name in said}
    assert said == {
        name: ", ".join(adapter for adapter in _ADAPTERS if adapter in imports) or "-"
        for name, imports in known.items()
    }


def test_the_layers_are_drawn_as_they_are_checked() -> None:
    parser = configparser.ConfigParser()
    parser.read(ROOT / ".importlinter")
    drawn = _architecture().split("\n## Layers\n")[1].split("```\n")[1]
    layers = [re.split(r"\s{2,}", line)[0] for line in drawn.splitlines()]
    assert layers == parser["importlinter:contract:layers"]["layers"].split("\n")[1:]


def test_every_file_that_a_page_names_exists() -> None:
    missing = [
        f"{page}: {name}" for page, text in _guides() for name in sorted(_paths(text)) if not _exists(name)
    ]
    assert missing == []


def _paths(text: str) -> set[str]:
    """Return what reads as the path of a file or folder of the repository, in code and in commands."""
    code = "\n".join(re.findall(r"```.*?```|`[^`\n]+`", text, re.DOTALL))
    tops = "|".join(sorted({re.escape(path.relative_to(ROOT).parts[0]) for path in tracked()}, key=len))
    named = re.findall(rf"(?<![\w./:<-])((?:[\w.*<>-]+/)+[\w.*<>-]+\.(?:{_EXTENSIONS}))\b", code)
    below = re.findall(rf"(?<![\w./:<=-])((?:{tops})/[\w./*<>-]*)", code)
    names = {name.rstrip("/.") for name in (*named, *below)}
    return {name for name in names if not any(part in name for part in _ELSEWHERE)}


def _exists(name: str) -> bool:
    """Return whether a path leads to something from the root, the platform, the contracts or a context."""
    pattern = re.sub(r"<[^>]*>", "*", name)
    roots = [ROOT, PLATFORM, ROOT / "proto", *(ROOT / "contexts").iterdir()]
    return any(any(root.glob(pattern)) for root in roots)


def test_every_module_that_a_page_names_exists() -> None:
    missing = []
    for page, text in _guides():
        for name in sorted(set(re.findall(r"`(intent\.[a-z_0-9]+(?:\.\w+)*)\b", text))):
            if not name.startswith(_NO_MODULES):
                try:
                    pkgutil.resolve_name(name)
                except (AttributeError, ImportError):
                    missing.append(f"{page}: {name}")
    assert missing == []


def test_every_relative_link_leads_somewhere() -> None:
    broken = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in _pages()
        for target in re.findall(r"\]\(([^)\s]+)\)", _without_code(page.read_text()))
        if not re.match(r"[a-z]+:", target) and not _leads(page, target)
    ]
    assert broken == []


def _leads(page: Path, target: str) -> bool:
    path, _, anchor = target.partition("#")
    file = (page.parent / path).resolve() if path else page
    return file.exists() and (not anchor or anchor in _anchors(file))


@cache
def _anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as Markdown viewers make them."""
    headings = re.findall(r"^#+ (.+)$", _without_code(page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def _without_code(text: str) -> str:
    return re.sub(r"```.*?```", "", text, flags=re.DOTALL)


def test_every_guide_is_reached_from_the_readme() -> None:
    """By one link or by two: a page that nothing leads to is not read."""
    reached, waiting = set(), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page not in reached and page.suffix == ".md":
            reached.add(page)
            targets = re.findall(r"\]\(([^)#\s]+)", page.read_text())
            waiting += [found for t in targets if (found := (page.parent / t).resolve()).is_file()]
    assert {path for path in _pages() if path.parent.parts[-1] in ("docs", "adr", ROOT.name)} <= reached


def test_the_glossary_is_short_and_sorted() -> None:
    words = re.findall(r"^\| \*\*(.+?)\*\* \|", (ROOT / "docs" / "glossary.md").read_text(), re.MULTILINE)
    assert 20 <= len(words) <= 32
    assert words == sorted(words)


@pytest.mark.parametrize("page", ["README.md", "docs/architecture.md", "CONTRIBUTING.md"])
def test_the_first_pages_lead_to_the_glossary(page: str) -> None:
    assert "glossary.md)" in (ROOT / page).read_text()
