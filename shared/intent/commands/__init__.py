"""The durable command path: lanes, batches, the workflow that carries them and its activities."""

from intent.commands.activities import ContextActivities
from intent.commands.aggregates.cache import AggregateCache
from intent.commands.batches import LocalOutcomes
from intent.commands.carrier import BatchObserver, Carrier, CarrierSettings
from intent.commands.handling import ChangedStates, CommandHandling, Handled
from intent.commands.lane import Lane, LaneLimits
from intent.commands.process_commands import ProcessCommands
from intent.commands.reports import CommandReports
from intent.commands.requests import CommandReport, CommandRequest, SubmittedCommand
from intent.commands.router import RouterSettings, WorkflowRouter
from intent.commands.stalls import BatchUnderWay
from intent.commands.worker import command_worker

__all__ = [
    "AggregateCache",
    "BatchObserver",
    "BatchUnderWay",
    "Carrier",
    "CarrierSettings",
    "ChangedStates",
    "CommandHandling",
    "CommandReport",
    "CommandReports",
    "CommandRequest",
    "ContextActivities",
    "Handled",
    "Lane",
    "LaneLimits",
    "LocalOutcomes",
    "ProcessCommands",
    "RouterSettings",
    "SubmittedCommand",
    "WorkflowRouter",
    "command_worker",
]
