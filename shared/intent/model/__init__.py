"""Everything that the author of a context declares, behind one import: pure, without I/O.

Example::

    from intent.model import Aggregate, Context, Projection, Queries, Saga
    from intent.model import answers, applies, handles, projects
"""

from intent.model.aggregate import Aggregate
from intent.model.consumer import Consumer, ConsumerHandler, consumes
from intent.model.context import BoundContext, Context
from intent.model.deciding.aggregate_type import AggregateType
from intent.model.deciding.state_watch import StateWatch
from intent.model.discovery import discover, load_context
from intent.model.following import Follows, follows
from intent.model.handlers import applies, handles
from intent.model.metadata import CommandMetadata, DecidedEvent, EventMetadata
from intent.model.projection import DELETE, Projection, ProjectionHandler, projects
from intent.model.queries import Queries, QueryContext, QueryHandler, answers
from intent.model.reaction import IntendedCommand, command_id_of, react
from intent.model.reading import Page, ReadModelReader
from intent.model.upcasters import Upcasters
from intent.model.upcasting import Upcaster, upcasts
from intent.sagas import Adapter, Compensation, Port, Saga, Undo

__all__ = [
    "DELETE",
    "Adapter",
    "Aggregate",
    "AggregateType",
    "BoundContext",
    "CommandMetadata",
    "Compensation",
    "Consumer",
    "ConsumerHandler",
    "Context",
    "DecidedEvent",
    "EventMetadata",
    "Follows",
    "IntendedCommand",
    "Page",
    "Port",
    "Projection",
    "ProjectionHandler",
    "Queries",
    "QueryContext",
    "QueryHandler",
    "ReadModelReader",
    "Saga",
    "StateWatch",
    "Undo",
    "Upcaster",
    "Upcasters",
    "answers",
    "applies",
    "command_id_of",
    "consumes",
    "discover",
    "follows",
    "handles",
    "load_context",
    "projects",
    "react",
    "upcasts",
]
