"""``intent redeliver``: deliver the recorded events of a context to sagas again."""

from __future__ import annotations

from typing import Annotated

import typer

from intent.cli.connection import Reason
from intent.cli.output import echo, open_console

__all__ = ["register"]

HELP = """Deliver a context's events again, in the order of its log, to the sagas that listen.

Use it when Temporal has lost its data: sagas that Temporal does not know start over. The ids of
their steps are derived from the saga and the step, so a step that had its effect has no second one,
and a saga continues where it was. Run it for every context whose events sagas listen to. A saga that
Temporal still knows, or that is over, does not change, however often you run it.

Say --no-wait to all of these contexts before Temporal runs again: what sagas have heard before is then
delivered before what is new.

The context's processes deliver; new events wait until those before them are delivered. This shows
how far they are, and may be interrupted: they go on. Run it with the settings of such a process.

\b
  intent redeliver orders
  intent redeliver orders --after 120000         only events after that position
  intent redeliver orders --no-wait              while Temporal is unavailable
  kubectl exec deployment/orders -- intent redeliver orders
"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("redeliver", help=HELP)(redeliver)


def redeliver(
    context: Annotated[str, typer.Argument(metavar="CONTEXT", help="The context.", envvar="INTENT_CONTEXT")],
    after: Annotated[int, typer.Option("--after", min=0, help="The position after which to start.")] = 0,
    reason: Reason = "",
    wait: Annotated[
        bool, typer.Option(help="Wait until they are delivered, and show how far they are.")
    ] = True,
) -> None:
    """Deliver a context's events to sagas again."""
    import asyncio

    from rich.progress import Progress

    from intent.contracts import Registry
    from intent.model import load_context
    from intent.process import redelivery
    from intent.saga_host import followed_types
    from intent.settings.config import load_settings

    settings = load_settings(context=context)
    bound = load_context(context).bind(Registry.load())
    if not followed_types(bound):
        echo(f"no saga listens to the events of {context}")
        return
    with Progress(console=open_console(stderr=True), transient=True) as progress:
        task = progress.add_task(f"the log of {context}", total=None)

        def report(position: int, last: int) -> None:
            progress.update(task, completed=position - after, total=last - after)

        watched = report if wait else None
        reached, last = asyncio.run(redelivery.redeliver(settings, bound.name, after, watched, reason))
    if not wait:
        echo(f"the processes of {context} deliver the events after position {after}, up to {last}, once more")
    elif reached < last:
        echo(
            f"no process of {context} with a worker runs now; the next ones deliver the events after "
            f"position {reached}, up to {last}, once more"
        )
    else:
        echo(f"the events of {context} after position {after}, up to {last}, were delivered once more")
