"""The tables of read models change with the versions of their projections.

The database keeps one table per version. Code of a release that is rolled back finds its own again by the
version and the shape; under the version of another shape it finds none, and its read model stands still.
"""

from __future__ import annotations

import json

import pytest
from intent.contracts import Registry
from intent.model import load_context
from intent.read_models.definition import Definition, definitions_of

from .files import ROOT

RECORDED = json.loads((ROOT / "tests" / "repository" / "read_models.json").read_text())
DEFINITIONS = {
    f"{name}.{definition.name}": definition
    for name in ("inventory", "orders", "payments", "shipping")
    for definition in definitions_of(load_context(name).bind(Registry.load()))
}


def shape_of(definition: Definition) -> dict[str, object]:
    shape = definition.shape
    columns = {
        kind: [f"{column.name} {column.sql_type}" for column in getattr(shape, kind)]
        for kind in ("key", "indexed")
    }
    return {"table": shape.table, **columns}


@pytest.mark.parametrize("name", DEFINITIONS)
def test_a_read_model_of_another_shape_is_another_version(name: str) -> None:
    definition = DEFINITIONS[name]
    recorded = RECORDED[name]
    assert shape_of(definition) == recorded.get(str(definition.version)), (
        f"raise `version` of {name}, and record there what its table has in that version: read_models.json"
    )
    assert definition.version == max(map(int, recorded))


def test_every_read_model_is_recorded() -> None:
    assert RECORDED.keys() == DEFINITIONS.keys()
