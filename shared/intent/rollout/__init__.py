"""The steps of a rollout in Temporal and Kubernetes, as `intent deploy` takes them."""

from intent.rollout.deployment import Poller, Version, WorkerDeployment
from intent.rollout.namespace import prepare_namespace
from intent.rollout.retirement import KeptDeployment, KeptDeployments
from intent.rollout.waiting import connect_patiently

__all__ = [
    "KeptDeployment",
    "KeptDeployments",
    "Poller",
    "Version",
    "WorkerDeployment",
    "connect_patiently",
    "prepare_namespace",
]
