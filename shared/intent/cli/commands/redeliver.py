"""``intent redeliver``: tells sagas again what a context recorded."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = ["register"]

HELP = """Deliver a context's events to the sagas that listen, again, in the order of its log.

For the day on which Temporal's data was lost: sagas that Temporal does not know begin anew. Their
steps have ids that follow from the saga and the step, so what had its effect has no second one, and
a saga goes on where it was. Run it for every context whose events sagas listen to. Where Temporal
still knows a saga it changes nothing, however often it is run.

It runs where a process of the context runs, with the same settings.

\b
  intent redeliver orders
  intent redeliver orders --after 120000         only what came after that position
  kubectl exec deployment/orders -- intent redeliver orders
"""


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("redeliver", help=HELP)(redeliver)


def redeliver(
    context: Annotated[str, typer.Argument(metavar="CONTEXT", help="The context.", envvar="INTENT_CONTEXT")],
    after: Annotated[int, typer.Option("--after", min=0, help="The position after which to begin.")] = 0,
) -> None:
    """Delivers a context's events to sagas again."""
    import asyncio

    from rich.console import Console
    from rich.progress import Progress

    from intent.contracts import Registry
    from intent.model import load_context
    from intent.process.redelivery import redeliver as deliver
    from intent.settings.config import load_settings

    settings = load_settings(context=context)
    bound = load_context(context).bind(Registry.load())
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(f"the log of {context}", total=None)

        def tell(position: int, last: int) -> None:
            progress.update(task, completed=position - after, total=last - after)

        delivered = asyncio.run(deliver(settings, bound, after, tell))
    typer.echo(f"{delivered} deliveries of events of {context} to sagas")
