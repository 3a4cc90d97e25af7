"""A value that is null is left out: its default holds, as where the key is not there at all."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from .charts import CHART, objects, template

_MINIMAL = CHART / "ci" / "minimal-values.yaml"
_DEFAULTS = yaml.safe_load((CHART / "values.yaml").read_text())
_FREE = {"podSecurityContext", "containerSecurityContext", "resources", "labels"}
"""Maps whose keys Kubernetes or the installer names; a key that is null is removed from them."""


def _nulled(values: Mapping[str, Any], depth: int) -> dict[str, Any]:
    """Return the values with every key at a depth set to null."""
    if depth == 1:
        return dict.fromkeys(values)
    return {
        key: _nulled(value, depth - 1)
        for key, value in values.items()
        if isinstance(value, dict) and value and key not in _FREE
    }


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_what_is_null_has_its_default(tmp_path: Path, depth: int) -> None:
    (tmp_path / "null.yaml").write_text(yaml.safe_dump(_nulled(_DEFAULTS, depth)))
    assert objects(template("orders", [tmp_path / "null.yaml", _MINIMAL])) == objects(
        template("orders", [_MINIMAL])
    )


def test_a_key_of_a_free_map_is_removed_by_null() -> None:
    text = template("orders", [_MINIMAL], {"podSecurityContext.fsGroup": "null"})
    assert "fsGroup" not in text
    assert "runAsNonRoot: true" in text
