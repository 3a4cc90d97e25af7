"""The answers of an API server about an object, without a server.

Core kinds are checked against Kubernetes' own schemas, strictly: an unknown field is refused. Of the
kinds that operators bring, `CUSTOM` describes the fields that the charts use, and no others. What schemas
do not say (names, labels, quantities) is checked here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final

import jsonschema
import kubernetes_validate
from kubernetes_validate import utils

from .charts import Manifest

OLDEST: Final = "1.32"
NEWEST: Final = "1.37"
CUSTOM: Final = Path(__file__).parent / "custom"
_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_LABEL: Final = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?")
_KEY: Final = re.compile(r"([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")
_QUANTITY: Final = re.compile(r"[0-9]+(\.[0-9]+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?")

# Large files; without this, each is read again for every object.
utils.schema_contents = cache(utils.schema_contents)


def problems(manifest: Manifest, version: str) -> list[str]:
    """Return the reasons for which a server of a version would refuse an object."""
    found = [*_schema(manifest, version), *_metadata(manifest.get("metadata", {}))]
    for path, value in _leaves(manifest):
        if path[-1:] in {("cpu",), ("memory",), ("sizeLimit",)} and not _QUANTITY.fullmatch(str(value)):
            found.append(f"{'.'.join(path)}: {value!r} is no quantity")
        if path[-2:-1] == ("matchLabels",) and not _LABEL.fullmatch(str(value)):
            found.append(f"{'.'.join(path)}: {value!r} is no value of a label")
    pod = _pod(manifest)
    found += _metadata(pod.get("metadata", {})) if pod else []
    claims = [claim["metadata"]["name"] for claim in manifest.get("spec", {}).get("volumeClaimTemplates", [])]
    found += [*_containers(pod["spec"], claims)] if pod else []
    where = f"{manifest['kind']}/{manifest.get('metadata', {}).get('name')}"
    return [f"{where}: {problem}" for problem in found]


def _schema(manifest: Manifest, version: str) -> Iterator[str]:
    custom = CUSTOM / f"{manifest['kind'].lower()}.json"
    try:
        if custom.exists():
            _custom(custom).validate(manifest)
        else:
            kubernetes_validate.validate(manifest, version, strict=True)
    except kubernetes_validate.SchemaNotFoundError:
        yield f"no server of {version} knows {manifest['apiVersion']}, and {custom.name} does not describe it"
    except (jsonschema.ValidationError, kubernetes_validate.ValidationError) as error:
        yield f"{'.'.join(map(str, error.path))}: {error.message[:300]}"


@cache
def _custom(path: Path) -> Any:
    validator = jsonschema.Draft202012Validator(json.loads(path.read_text()))
    validator.check_schema(validator.schema)
    return validator


def _metadata(metadata: dict[str, Any]) -> Iterator[str]:
    name = metadata.get("name")
    if name is not None and not (_NAME.fullmatch(name) and len(name) <= 63):
        yield f"{name!r} is no name: at most 63 lower-case letters, digits and '-'"
    for key, value in metadata.get("labels", {}).items():
        if not isinstance(value, str) or len(value) > 63 or not _LABEL.fullmatch(value):
            yield f"label {key}: {value!r} is no value of a label"
    for key, value in {**metadata.get("labels", {}), **metadata.get("annotations", {})}.items():
        prefix, _, name = key.rpartition("/")
        if not _KEY.fullmatch(key) or len(name) > 63 or len(prefix) > 253:
            yield f"{key!r} is no key of a label or an annotation"
        if not isinstance(value, str):
            yield f"{key}: {value!r} is no text"


def _pod(manifest: Manifest) -> Manifest | None:
    if manifest["kind"] == "Pod":
        return manifest
    spec = manifest.get("spec")
    pod: Manifest | None = spec.get("template") if isinstance(spec, dict) else None
    return pod if isinstance(pod, dict) and "spec" in pod else None


def _containers(spec: dict[str, Any], claims: list[str]) -> Iterator[str]:
    volumes = [*claims, *(volume["name"] for volume in spec.get("volumes", []))]
    containers = [*spec.get("initContainers", []), *spec["containers"]]
    yield from _twice("volume", volumes)
    yield from _twice("container", [container["name"] for container in containers])
    for container in containers:
        mounts = container.get("volumeMounts", [])
        yield from _twice("variable", [variable["name"] for variable in container.get("env", [])])
        yield from _twice("mount", [mount["mountPath"] for mount in mounts])
        yield from _twice("port", [port["containerPort"] for port in container.get("ports", [])])
        for mount in mounts:
            if mount["name"] not in volumes:
                yield f"{container['name']} mounts {mount['name']}, which is no volume"
        for port in container.get("ports", []):
            if len(port["name"]) > 15:
                yield f"the port's name {port['name']!r} is longer than 15"
        if not re.fullmatch(
            r"[^\s:@]+(:\d+/[^\s:@]+)?(:[\w.-]{1,128})?(@sha256:[0-9a-f]{64})?", container["image"]
        ):
            yield f"{container['image']!r} names no image"
        for variable in container.get("env", []):
            if not isinstance(variable.get("value", ""), str):
                yield f"{variable['name']} is no text"


def _twice(what: str, names: list[Any]) -> Iterator[str]:
    for name in sorted({str(name) for name in names if names.count(name) > 1}):
        yield f"{what} {name} is there twice"


def _leaves(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(value, dict):
        for key, below in value.items():
            yield from _leaves(below, (*path, str(key)))
    elif isinstance(value, list):
        for below in value:
            yield from _leaves(below, path)
    else:
        yield path, value
