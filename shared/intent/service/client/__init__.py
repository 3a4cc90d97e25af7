"""The client of a context."""

from intent.service.client.client import IntentClient as IntentClient
from intent.service.client.connection import Caller as Caller
from intent.service.client.consumers import ConsumersClient as ConsumersClient
from intent.service.client.consuming import ConsumerRunner as ConsumerRunner
from intent.service.client.consuming import ConsumingFigures as ConsumingFigures
from intent.service.client.consuming import SendCommand as SendCommand
from intent.service.client.projections import ProjectionsClient as ProjectionsClient
from intent.service.client.retrying import RetryPolicy as RetryPolicy
from intent.service.client.sagas import SagasClient as SagasClient

__all__ = [
    "Caller",
    "ConsumerRunner",
    "ConsumersClient",
    "ConsumingFigures",
    "IntentClient",
    "ProjectionsClient",
    "RetryPolicy",
    "SagasClient",
    "SendCommand",
]
