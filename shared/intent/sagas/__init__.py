"""Sagas: durable straight-line code over several aggregates and contexts."""

from intent.sagas.compensation import Compensation as Compensation
from intent.sagas.compensation import Undo as Undo
from intent.sagas.host import SagaHost as SagaHost
from intent.sagas.port import Adapter as Adapter
from intent.sagas.port import Port as Port
from intent.sagas.run import NeverStarted as NeverStarted
from intent.sagas.run import SagaRun as SagaRun
from intent.sagas.saga import Saga as Saga
from intent.sagas.saga import start_types as start_types
from intent.sagas.sending import Identity as Identity

__all__ = [
    "Adapter",
    "Compensation",
    "Identity",
    "NeverStarted",
    "Port",
    "Saga",
    "SagaHost",
    "SagaRun",
    "Undo",
    "start_types",
]
