"""The client of a context: what other programs install.

Importing it loads neither the Temporal SDK nor a database driver.
"""

from intent.client.callers import Caller, Token
from intent.client.client import IntentClient
from intent.client.consumer_runner import ConsumerRunner, ConsumingFigures, SendCommand
from intent.client.operators import AuditClient, ConsumersClient, ProjectionsClient, SagasClient
from intent.client.retries import RetryPolicy
from intent.client.tokens import ClientCredentials, TokenCommand, TokenFile, TokenSource
from intent.tls import Tls

__all__ = [
    "AuditClient",
    "Caller",
    "ClientCredentials",
    "ConsumerRunner",
    "ConsumersClient",
    "ConsumingFigures",
    "IntentClient",
    "ProjectionsClient",
    "RetryPolicy",
    "SagasClient",
    "SendCommand",
    "Tls",
    "Token",
    "TokenCommand",
    "TokenFile",
    "TokenSource",
]
