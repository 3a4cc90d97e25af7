"""What a rollout asks of Temporal, and of Kubernetes: what `intent deploy` does."""

from intent.runtime.rollout.deployment import Poller, Version, WorkerDeployment
from intent.runtime.rollout.namespace import prepare_namespace
from intent.runtime.rollout.retirement import KeptDeployment, KeptDeployments
from intent.runtime.rollout.waiting import connect_patiently

__all__ = [
    "KeptDeployment",
    "KeptDeployments",
    "Poller",
    "Version",
    "WorkerDeployment",
    "connect_patiently",
    "prepare_namespace",
]
