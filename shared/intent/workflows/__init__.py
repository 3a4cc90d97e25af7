"""The durable command path: lanes, batches, the workflow and its activities."""

from intent.workflows import names
from intent.workflows.activities import ContextActivities
from intent.workflows.attributes import SEARCH_ATTRIBUTES, correlation_query
from intent.workflows.cache import AggregateCache
from intent.workflows.carrier import BatchObserver, Carrier, CarrierSettings, Deliveries, Projections
from intent.workflows.converter import data_converter
from intent.workflows.delivery import EventDelivery, recorded_event
from intent.workflows.handling import CommandHandling, Handled
from intent.workflows.lane import Lane, LaneLimits
from intent.workflows.process_commands import ProcessCommands
from intent.workflows.reports import CommandReports
from intent.workflows.requests import CommandReport, CommandRequest, SubmittedCommand
from intent.workflows.router import RouterSettings, WorkflowRouter
from intent.workflows.saga import SagaWorkflow
from intent.workflows.saga_directory import DirectorySettings, SagaDirectory
from intent.workflows.saga_sandbox import saga_runner
from intent.workflows.saga_types import know_sagas
from intent.workflows.saga_worker import saga_worker
from intent.workflows.versioning import UNVERSIONED, Versioning
from intent.workflows.worker import WorkerSettings, command_worker

__all__ = [
    "SEARCH_ATTRIBUTES",
    "UNVERSIONED",
    "AggregateCache",
    "BatchObserver",
    "Carrier",
    "CarrierSettings",
    "CommandHandling",
    "CommandReport",
    "CommandReports",
    "CommandRequest",
    "ContextActivities",
    "Deliveries",
    "DirectorySettings",
    "EventDelivery",
    "Handled",
    "Lane",
    "LaneLimits",
    "ProcessCommands",
    "Projections",
    "RouterSettings",
    "SagaDirectory",
    "SagaWorkflow",
    "SubmittedCommand",
    "Versioning",
    "WorkerSettings",
    "WorkflowRouter",
    "command_worker",
    "correlation_query",
    "data_converter",
    "know_sagas",
    "names",
    "recorded_event",
    "saga_runner",
    "saga_worker",
]
