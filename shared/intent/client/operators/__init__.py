"""The clients for operators, one for each service of the platform that they use."""

from intent.client.operators.audit import AuditClient
from intent.client.operators.consumers import ConsumersClient
from intent.client.operators.projections import ProjectionsClient
from intent.client.operators.sagas import SagasClient

__all__ = ["AuditClient", "ConsumersClient", "ProjectionsClient", "SagasClient"]
