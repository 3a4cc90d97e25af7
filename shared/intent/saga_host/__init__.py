"""Sagas on Temporal: their workflow, worker and sandbox, and how the events of the log reach them."""

from intent.saga_host.delivery import EventDelivery
from intent.saga_host.directory import DirectorySettings, SagaDirectory
from intent.saga_host.ends import EndRecorder, SagaEnds
from intent.saga_host.follower import FOLLOWER, SagaFollower, followed_types
from intent.saga_host.sandbox import saga_runner
from intent.saga_host.types import register_sagas
from intent.saga_host.worker import saga_worker
from intent.saga_host.workflow import SagaWorkflow

__all__ = [
    "FOLLOWER",
    "DirectorySettings",
    "EndRecorder",
    "EventDelivery",
    "SagaDirectory",
    "SagaEnds",
    "SagaFollower",
    "SagaWorkflow",
    "followed_types",
    "register_sagas",
    "saga_runner",
    "saga_worker",
]
