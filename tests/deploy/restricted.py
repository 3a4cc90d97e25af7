"""Pod Security at level restricted, as the admission of Kubernetes checks it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

_VOLUMES: Final = {
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
}
_HOST: Final = ("hostNetwork", "hostPID", "hostIPC")


def violations(spec: dict[str, Any]) -> list[str]:
    """Return the reasons for which a pod's spec is refused."""
    found = [f"{name} is set" for name in _HOST if spec.get(name)]
    found += [
        f"volume {volume['name']} is of a forbidden type"
        for volume in spec.get("volumes", [])
        if not set(volume) - {"name"} <= _VOLUMES
    ]
    for container in [*spec.get("initContainers", []), *spec["containers"]]:
        found += [f"{container['name']}: {problem}" for problem in _of_container(container, spec)]
    return found


def _of_container(container: dict[str, Any], spec: dict[str, Any]) -> Iterator[str]:
    pod = spec.get("securityContext", {})
    own = container.get("securityContext", {})
    if own.get("privileged"):
        yield "it is privileged"
    if own.get("allowPrivilegeEscalation") is not False:
        yield "allowPrivilegeEscalation is not false"
    if own.get("runAsNonRoot", pod.get("runAsNonRoot")) is not True:
        yield "runAsNonRoot is not true"
    if own.get("runAsUser", pod.get("runAsUser")) == 0:
        yield "it runs as root"
    seccomp = own.get("seccompProfile", pod.get("seccompProfile", {}))
    if seccomp.get("type") not in {"RuntimeDefault", "Localhost"}:
        yield "its seccomp profile is open"
    capabilities = own.get("capabilities", {})
    if "ALL" not in capabilities.get("drop", []):
        yield "it keeps capabilities"
    if not set(capabilities.get("add", [])) <= {"NET_BIND_SERVICE"}:
        yield "it adds capabilities"
    if any("hostPort" in port for port in container.get("ports", [])):
        yield "it takes a port of the host"
