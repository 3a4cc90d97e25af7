"""What commands and sagas have in common on Temporal: names, attributes, policies, versions, connection."""

from intent.temporal import names
from intent.temporal.attributes import SEARCH_ATTRIBUTES, correlation_query
from intent.temporal.converter import data_converter
from intent.temporal.versioning import UNVERSIONED, Versioning
from intent.temporal.worker_settings import WorkerSettings

__all__ = [
    "SEARCH_ATTRIBUTES",
    "UNVERSIONED",
    "Versioning",
    "WorkerSettings",
    "correlation_query",
    "data_converter",
    "names",
]
