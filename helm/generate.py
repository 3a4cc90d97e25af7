"""Makes what the charts say twice: READMEs, the settings in the schema of the context chart, dashboards.

``python helm/generate.py`` writes them; ``--check`` only looks whether they are as they must be. A
README lists every value with the comment above it in values.yaml; a value without one is refused.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml
from dashboards import DASHBOARDS, dashboard_json
from intent.settings.config import Settings
from intent.settings.variables import variable_of

HERE: Final = Path(__file__).parent
_LINE: Final = re.compile(r"(?P<indent> *)(?P<key>[A-Za-z][A-Za-z0-9_]*):(?P<rest> .*|$)")
_KINDS: Final = {bool: "boolean", int: "integer", float: "number", str: "text", list: "list", dict: "map"}

SET_BY_THE_CHART: Final = frozenset(
    f"INTENT_{name}"
    for name in (
        "CONTEXT",
        "HOST",
        "PORT",
        "METRICS_HOST",
        "METRICS_PORT",
        "DATABASE_URL",
        "QUERY_DATABASE_URL",
        "OWNER_DATABASE_URL",
        "ADMIN_DATABASE_URL",
        "DRAIN_TIMEOUT",
        "IDENTITY_MODE",
        "PINNED_SAGAS",
        "CONTEXT_ADDRESSES",
    )
)
"""Settings that have values of their own; so has everything of Temporal."""


def main(arguments: list[str]) -> int:
    """Writes the files, or with ``--check`` says which are not as they must be."""
    wrong = []
    for path, text in _made():
        if path.exists() and path.read_text() == text:
            continue
        if "--check" in arguments:
            wrong.append(path.relative_to(HERE.parent))
        else:
            path.write_text(text)
    for path in wrong:
        print(f"{path} is not what its sources say; run make docs")
    return 1 if wrong else 0


def _made() -> Iterator[tuple[Path, str]]:
    yield HERE / "context" / "values.schema.json", _schema(HERE / "context" / "values.schema.json")
    for name, (title, rows) in DASHBOARDS.items():
        yield HERE / "context" / "dashboards" / f"{name}.json", dashboard_json(title, rows)
    for chart in ("context", "platform"):
        yield HERE / chart / "README.md", _readme(HERE / chart)


def _schema(path: Path) -> str:
    """Returns the schema with the settings as the code has them."""
    schema = json.loads(path.read_text())
    schema["properties"]["settings"]["properties"] = dict(sorted(_settings()))
    return json.dumps(schema, indent=2) + "\n"


def _settings() -> Iterator[tuple[str, dict[str, Any]]]:
    properties = Settings.model_json_schema()["properties"]
    for name, field in Settings.model_fields.items():
        variable = variable_of(name, field)
        if variable in SET_BY_THE_CHART or variable.startswith("TEMPORAL_"):
            continue
        rule = properties[name if name in properties else variable]
        kept = {key: value for key, value in rule.items() if key not in {"title", "default", "items"}}
        # Words of a list come with commas, as the variable holds them.
        yield variable, kept | ({"type": "string"} if kept.get("type") == "array" else {})


def _readme(chart: Path) -> str:
    about = yaml.safe_load((chart / "Chart.yaml").read_text())
    guide = (chart / "README.head.md").read_text()
    rows = "".join(_row(*row) for row in values_of((chart / "values.yaml").read_text()))
    return (
        f"# {about['name']} {about['version']}\n\n{about['description']}\n\n{guide}\n"
        "## Values\n\nThis table is made by `make docs` from `values.yaml`.\n\n"
        f"| Value | Kind | Default | What it sets |\n| --- | --- | --- | --- |\n{rows}"
    )


def _row(path: str, default: Any, meaning: str) -> str:
    kind = "" if default is None else _KINDS[type(default)]
    shown = json.dumps(default).replace("|", "\\|")
    return f"| `{path}` | {kind} | `{shown}` | {meaning} |\n"


def values_of(text: str) -> Iterator[tuple[str, Any, str]]:
    """Yields every value that has a comment or no values below it: path, default, comment.

    Args:
        text: A values.yaml in block style, with comments above keys.

    Raises:
        ValueError: A value has no comment.
    """
    values = yaml.safe_load(text)
    parents: list[tuple[int, str]] = []
    comment: list[str] = []
    covered = ""
    for line in text.splitlines():
        if line.lstrip().startswith("#"):
            comment.append(line.strip().lstrip("# "))
            continue
        found = _LINE.fullmatch(line)
        if found is None or (covered and _below(found, parents, covered)):
            comment = []
            continue
        indent = len(found["indent"])
        parents = [parent for parent in parents if parent[0] < indent]
        path = ".".join([name for _, name in parents] + [found["key"]])
        parents.append((indent, found["key"]))
        default = _at(values, path)
        section = isinstance(default, dict) and bool(default) and not found["rest"].strip()
        covered = "" if section else path
        if not section and not comment:
            raise ValueError(f"{path} has no comment in values.yaml; say above it what it sets")
        if not section:
            yield path, default, " ".join(comment)
        comment = []


def _below(line: re.Match[str], parents: list[tuple[int, str]], covered: str) -> bool:
    """Tells whether a line is part of a value that was listed as a whole, as a list in block style is."""
    depth = covered.count(".")
    return len(line["indent"]) > parents[depth][0]


def _at(values: Any, path: str) -> Any:
    for name in path.split("."):
        values = values[name]
    return values


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
