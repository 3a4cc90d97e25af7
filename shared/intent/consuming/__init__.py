"""How a context, or any Python service, declares what it does with another context's events: no I/O."""

from intent.consuming.consumer import Consumer as Consumer
from intent.consuming.consumer import ConsumerHandler as ConsumerHandler
from intent.consuming.consumer import consumes as consumes
from intent.consuming.reaction import IntendedCommand as IntendedCommand
from intent.consuming.reaction import command_id_of as command_id_of
from intent.consuming.reaction import react as react

__all__ = ["Consumer", "ConsumerHandler", "IntendedCommand", "command_id_of", "consumes", "react"]
