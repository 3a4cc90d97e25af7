"""Sagas: durable straight-line code across several aggregates and contexts."""

from intent.sagas.compensation import Compensation, Undo
from intent.sagas.host import SagaHost
from intent.sagas.outbox import SagaIdentity
from intent.sagas.port import Adapter, Port
from intent.sagas.run import NeverStarted, SagaRun
from intent.sagas.saga import Saga, start_types

__all__ = [
    "Adapter",
    "Compensation",
    "NeverStarted",
    "Port",
    "Saga",
    "SagaHost",
    "SagaIdentity",
    "SagaRun",
    "Undo",
    "start_types",
]
