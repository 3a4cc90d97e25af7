"""The refusals of the API server: schemas, Pod Security and immutable fields."""

from __future__ import annotations

import copy
from typing import Any

from ..kubernetes import NEWEST, problems
from ..restricted import violations

__all__ = ["Refused", "admit", "merged"]

Manifest = dict[str, Any]
_IMMUTABLE = {
    "Job": (("spec", "template"), ("spec", "selector"), ("spec", "completions")),
    "Deployment": (("spec", "selector"),),
    "Service": (("spec", "clusterIP"),),
}
_OWN = ("uid", "resourceVersion", "generation", "creationTimestamp", "managedFields", "ownerReferences")


class Refused(Exception):
    """An object that the server refuses; says why."""


def admit(manifest: Manifest, before: Manifest | None) -> None:
    """Check an object before it is kept.

    Args:
        manifest: The object.
        before: What it replaces, or None.

    Raises:
        Refused: A server would not take it.
    """
    seen = copy.deepcopy(manifest)
    seen.pop("status", None)
    for field in _OWN:
        seen["metadata"].pop(field, None)
    found = [] if seen["kind"] in {"Secret", "Namespace", "Event"} else problems(seen, NEWEST)
    spec = seen.get("spec", {})
    pod = spec if seen["kind"] == "Pod" else spec.get("template", {}).get("spec")
    found += violations(pod) if pod else []
    for path in _IMMUTABLE.get(seen["kind"], ()) if before else ():
        if _at(seen, path) != _at(before or {}, path):
            found.append(f"{'.'.join(path)}: field is immutable")
    if found:
        raise Refused("; ".join(found))


def merged(before: Any, patch: Any) -> Any:
    """Return an object with a JSON merge patch applied."""
    if not isinstance(before, dict) or not isinstance(patch, dict):
        return copy.deepcopy(patch)
    result = copy.deepcopy(before)
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result


def _at(manifest: Manifest, path: tuple[str, ...]) -> Any:
    found: Any = manifest
    for name in path:
        found = found.get(name, {}) if isinstance(found, dict) else {}
    return found
