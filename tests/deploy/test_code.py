"""The charts agree with the code: commands, settings, task queues, messages."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from google.protobuf.json_format import ParseDict
from intent.cli.app import app
from intent.cli.connection import variables_of
from intent.contracts import Registry, validate
from intent.model import load_context
from intent.settings.config import Settings, load_settings
from intent.settings.variables import unknown_variables
from intent.temporal.names import command_queue, saga_queue
from typer.main import get_command
from typer.testing import CliRunner

from .charts import CHART, CONTEXTS, OVERLAYS, ROOT, Manifest, objects, pod_of, rendered, template, workloads

FACTS = {path.stem: yaml.safe_load(path.read_text()) for path in (CHART / "contexts").glob("*.yaml")}


@pytest.fixture(scope="module")
def registry() -> Registry:
    return Registry.load()


def _containers(manifests: list[Manifest]) -> list[dict[str, Any]]:
    specs = [pod_of(workload)["spec"] for workload in workloads(manifests)]
    return [one for spec in specs for one in [*spec.get("initContainers", []), *spec["containers"]]]


SECRET = "postgresql://role:secret@db:5432/intent"
CONTAINERS = [
    pytest.param(container, id=f"{name}-{container['name']}")
    for name, manifests in {
        "everything": objects(template("shipping", [CHART / "ci" / "everything-values.yaml"])),
        **{context: rendered(context, "dev") for context in CONTEXTS},
        **{overlay: rendered("orders", "prod", overlay) for overlay in OVERLAYS},
    }.items()
    for container in _containers(manifests)
]


def test_the_chart_knows_every_context_and_no_other() -> None:
    in_code = {path.parent.name for path in (ROOT / "contexts").glob("*/pyproject.toml")}
    assert FACTS.keys() == in_code == set(CONTEXTS)


@pytest.mark.parametrize("context", CONTEXTS)
def test_task_queues_are_those_of_the_code(context: str, registry: Registry) -> None:
    queues = [command_queue(context)]
    if any(saga.context == context for saga in registry.sagas.values()):
        queues.append(saga_queue(context))
    assert FACTS[context]["queues"] == queues


@pytest.mark.parametrize("context", CONTEXTS)
def test_a_context_may_call_only_contexts(context: str) -> None:
    assert set(FACTS[context]["calls"]) <= FACTS.keys() - {context}


@pytest.mark.parametrize("context", CONTEXTS)
def test_a_context_calls_those_whose_events_it_consumes(context: str, registry: Registry) -> None:
    sources = set(load_context(context).bind(registry).consumers.values()) - {context}
    assert set(FACTS[context]["calls"]) == sources
    addresses = {
        one["value"]
        for c in _containers(rendered(context, "prod"))
        for one in c["env"]
        if one["name"] == "INTENT_CONTEXT_ADDRESSES"
    }
    assert addresses == (
        {",".join(f"{source}={source}:7400" for source in sorted(sources))} if sources else set()
    )


@pytest.mark.parametrize("context", CONTEXTS)
def test_the_name_of_the_context_is_that_of_the_code(context: str) -> None:
    assert load_context(context).name == context
    for environment in ("dev", "staging", "prod"):
        names = {
            one["value"]
            for c in _containers(rendered(context, environment))
            for one in c["env"]
            if one["name"] == "INTENT_CONTEXT"
        }
        assert names == {context}


@pytest.mark.parametrize("context", CONTEXTS)
def test_what_helm_test_sends_is_valid(context: str, registry: Registry) -> None:
    test = FACTS[context]["test"]
    for command in test["commands"]:
        _is_valid(command, registry.commands[command["type"]], context)
    _is_valid(test["query"], registry.queries[test["query"]["type"]], context)


def _is_valid(sent: dict[str, Any], contract: Any, context: str) -> None:
    assert contract.context == context
    body = json.loads(json.dumps(sent["body"]).replace("$id", "helm-test-1"))
    validate(ParseDict(body, contract.message()))


@pytest.mark.parametrize(
    ("overlay", "expected"),
    [
        ("temporal-mtls", {"TEMPORAL_TLS_SERVER_CA_CERT_PATH": "/etc/temporal/tls/ca.crt"}),
        ("temporal-api-key", {"TEMPORAL_TLS": "true"}),
    ],
)
def test_workers_under_the_controller_get_only_what_it_does_not_add(
    overlay: str, expected: dict[str, str]
) -> None:
    manifests = rendered("orders", "prod", "worker-controller", overlay)
    (worker,) = [one for one in _containers(manifests) if one["name"] == "worker"]
    found = {one["name"]: one["value"] for one in worker["env"] if one["name"].startswith("TEMPORAL_")}
    assert found == expected


@pytest.mark.parametrize("container", CONTAINERS)
def test_the_command_line_knows_every_command(container: dict[str, Any]) -> None:
    # Options are parsed before help is shown, so an unknown one is an error.
    asked = CliRunner().invoke(app, [*container["args"], "--help"])
    assert asked.exit_code == 0, asked.output


@pytest.mark.parametrize("container", CONTAINERS)
def test_the_settings_take_every_variable(
    container: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in [name for name in os.environ if name.startswith(("INTENT_", "TEMPORAL_"))]:
        monkeypatch.delenv(name)
    for variable in container["env"]:
        name, value = variable["name"], str(variable.get("value", SECRET))
        if name.endswith("_FILE"):
            value = str(tmp_path / name)
            Path(value).write_text(SECRET + "\n")
        monkeypatch.setenv(name, value)
    settings = load_settings()
    assert unknown_variables(Settings, known=variables_of(get_command(app))) == []
    if container["name"] in {"server", "worker"}:
        assert settings.database_url == SECRET
        assert settings.metrics_host == "0.0.0.0"
