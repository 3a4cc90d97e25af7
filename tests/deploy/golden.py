"""The reviewed renders; ``python -m tests.deploy.golden`` accepts new ones."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

from .charts import CHART, CONTEXTS, ENVIRONMENTS, OVERLAYS, built_platform, render, template

GOLDEN = Path(__file__).parent / "golden"
_SOURCE = re.compile(r"^# Source: .*\n", re.MULTILINE)


def renders() -> dict[str, str]:
    """Return every render that is kept, by the name of its file."""
    found = {f"{context}-{env}": render(context, env) for context in CONTEXTS for env in ENVIRONMENTS}
    found |= {f"orders-prod-with-{overlay}": render("orders", "prod", overlay) for overlay in OVERLAYS}
    found["everything"] = template("shipping", [CHART / "ci" / "everything-values.yaml"])
    with tempfile.TemporaryDirectory() as folder:
        chart = built_platform(Path(folder))
        values = {"global.temporal.address": "temporal:7233", "global.image.registry": "registry.example.com"}
        found["platform"] = template("intent", values=values, chart=chart)
    return {name: _stable(text) for name, text in found.items()}


def kept(name: str) -> Path:
    """Return the path of a kept render."""
    return GOLDEN / f"{name}.yaml"


def _stable(text: str) -> str:
    """Return a render without blank lines and comments with sources."""
    lines = [line.rstrip() for line in _SOURCE.sub("", text).splitlines()]
    return "\n".join(line for line in lines if line) + "\n"


def main() -> None:
    """Write the current renders, and remove those of contexts that no longer exist."""
    GOLDEN.mkdir(exist_ok=True)
    found = renders()
    for path in GOLDEN.glob("*.yaml"):
        if path.stem not in found:
            path.unlink()
    for name, text in found.items():
        kept(name).write_text(text)


if __name__ == "__main__":
    main()
