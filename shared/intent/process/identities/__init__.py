"""How a context process identifies its callers, from its settings."""

from intent.process.identities.issuers import issuers_of, workloads_of
from intent.process.identities.running import running_identities

__all__ = ["issuers_of", "running_identities", "workloads_of"]
