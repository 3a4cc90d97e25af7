"""The Kubernetes Deployments that run versions of a context's code, and their removal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from intent.errors import ConfigurationError

__all__ = ["KeptDeployment", "KeptDeployments"]

BUILD_LABEL = "intent/build-id"
"""The label that the chart puts on the Deployment of each version."""
_TIMEOUT = 30


@dataclass(frozen=True, slots=True)
class KeptDeployment:
    """A Deployment of one version.

    Attributes:
        name: Its name.
        build: The build id of its processes.
        replicas: The desired number of processes.
    """

    name: str
    build: str
    replicas: int


class KeptDeployments:
    """The Deployments of a context that run one version each; needs the extra `intent[kubernetes]`.

    Args:
        context: The context.
        deployment: Its worker deployment in Temporal, as its processes name it.
        namespace: The namespace in Kubernetes; empty: that of the kubeconfig or of the pod.

    Raises:
        ConfigurationError: The kubernetes client is not installed, or no cluster is known.
    """

    def __init__(self, context: str, deployment: str, namespace: str = "") -> None:
        self._context = context
        self._deployment = deployment
        self._apps, default = _client()
        self.namespace = namespace or default

    def found(self) -> Sequence[KeptDeployment]:
        """Return the context's Deployments.

        Raises:
            ConfigurationError: The cluster does not answer, or refuses.
        """
        name = self._context.replace("_", "-")
        selector = f"{BUILD_LABEL},app.kubernetes.io/name={name},app.kubernetes.io/part-of=intent"
        listed = self._ask("list", self._apps.list_namespaced_deployment, label_selector=selector)
        return [_kept(item) for item in listed.items if self._is_own(item)]

    def end(self, name: str, *, delete: bool) -> None:
        """End the processes of a Deployment, and with `delete` the Deployment itself.

        Raises:
            ConfigurationError: The cluster does not answer, or refuses.
        """
        if delete:
            self._ask("delete", self._apps.delete_namespaced_deployment, name=name)
        else:
            no_processes = {"spec": {"replicas": 0}}
            self._ask("patch", self._apps.patch_namespaced_deployment, name=name, body=no_processes)

    def _is_own(self, item: Any) -> bool:
        """Return whether the processes are versions of this worker deployment."""
        variables = [v for c in item.spec.template.spec.containers for v in c.env or ()]
        named = [v.value for v in variables if v.name == "TEMPORAL_DEPLOYMENT_NAME"]
        return not named or self._deployment in named

    def _ask(self, verb: str, call: Any, **arguments: Any) -> Any:
        from kubernetes.client import ApiException
        from urllib3.exceptions import HTTPError

        try:
            return call(namespace=self.namespace, _request_timeout=_TIMEOUT, **arguments)
        except ApiException as error:
            raise ConfigurationError(
                f"Kubernetes does not let this identity {verb} deployments in {self.namespace} "
                f"({error.reason}); it needs the verbs list, patch and delete on deployments.apps there"
            ) from error
        except HTTPError as error:
            raise ConfigurationError(f"Kubernetes does not answer: {error}") from error


def _client() -> tuple[Any, str]:
    """Return the client of deployments and the default namespace."""
    try:
        from kubernetes import client, config
    except ImportError:
        raise ConfigurationError(
            "the kubernetes client is missing: install intent[kubernetes], or build the image with "
            '--build-arg EXTRA="kubernetes"'
        ) from None
    untyped: Any = config
    try:
        untyped.load_config()
    except config.ConfigException as error:
        raise ConfigurationError(f"no cluster is known here: {error}; set KUBECONFIG") from error
    return client.AppsV1Api(), _namespace(untyped)


def _namespace(config: Any) -> str:
    try:
        _, active = config.list_kube_config_contexts()
    except config.ConfigException:
        with open("/var/run/secrets/kubernetes.io/serviceaccount/namespace") as file:
            return file.read().strip()
    namespace: str = active["context"].get("namespace") or "default"
    return namespace


def _kept(item: Any) -> KeptDeployment:
    replicas = 1 if item.spec.replicas is None else item.spec.replicas
    return KeptDeployment(item.metadata.name, item.metadata.labels[BUILD_LABEL], replicas)
