"""``intent deploy``: the steps of a rollout that concern Temporal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from intent.cli.connection import AsJson, Reason
from intent.cli.exits import Exit, UsageError
from intent.cli.output import echo, echo_json

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from datetime import datetime

    from intent.rollout import Version, WorkerDeployment
    from intent.settings.config import Settings

__all__ = ["register"]

T = TypeVar("T")

HELP = """Set Temporal up for a context, and roll out new versions of its code.

A process with a build id (TEMPORAL_WORKER_BUILD_ID) is a version of its context's worker
deployment. New workflows start on the current version, which `promote` sets once the new processes
run; an old version can be removed when `drained` says that nothing is left on it.

\b
  intent deploy temporal-setup --retention-days 7
  intent deploy promote orders --build-id 2026.11.2
  intent deploy status orders
  intent deploy drained orders --build-id 2026.11.1
  intent deploy retire orders --namespace shop

It finds Temporal by the settings of every process: TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE, …
(docs/settings.md).
"""
_SETUP = """Create the Temporal namespace, its retention and its search attributes, unless they exist.

Running it twice, or from two places at once, is safe. On Temporal Cloud, where a client may not do
this, it says what to create there.

\b
  intent deploy temporal-setup
  intent deploy temporal-setup --retention-days 7 --wait 300
"""
_PROMOTE = """Make a version the current one, on which new workflows start.

It first waits until the version's workers serve every task queue of the context. Promoting the
current version is no error. With --ramp only a share of the new workflows starts on it; call it again
with a larger share, and without --ramp at the end.

\b
  intent deploy promote orders --build-id 2026.11.2
  intent deploy promote orders --build-id 2026.11.2 --ramp 10
  intent deploy promote orders --build-id 2026.11.1          back to the old version
"""
_STATUS = """Show the versions of a context: which one is current, which ones still have work.

\b
  intent deploy status orders
  intent deploy status orders --json
"""
_DRAINED = """Exit with 0 if nothing is left on old versions, so that they can be removed, else with 1.

Without --build-id it checks every version but the current and the ramping one. Temporal updates the
status every few minutes, so a version counts as drained some minutes after its last workflow.

\b
  intent deploy drained orders --build-id 2026.11.1
  intent deploy drained orders --wait 600
"""
_RETIRE = """Retire the Deployments in Kubernetes of versions on which nothing is left.

It looks for the Deployments that the chart keeps for old versions (versioning.keepOld), asks
Temporal which of them are drained, and scales those to zero. Versions that are current, ramping,
draining or not known to Temporal stay. The records of drained versions that have no Deployment are
deleted in Temporal, which keeps a limited number; it keeps those whose processes polled in the last
minutes. Run it as often as you like, e.g. from a CronJob; it needs the extra intent\\[kubernetes].

\b
  intent deploy retire orders --namespace shop --dry-run
  intent deploy retire orders --namespace shop
  intent deploy retire orders --namespace shop --delete     and delete them
"""

_app = typer.Typer(name="deploy", help=HELP, no_args_is_help=True, rich_markup_mode="rich")

Context = Annotated[str, typer.Argument(metavar="CONTEXT", help="The context.", envvar="INTENT_CONTEXT")]
Deployment = Annotated[
    str,
    typer.Option(
        "--deployment",
        envvar="TEMPORAL_DEPLOYMENT_NAME",
        help="The worker deployment. Default: the context's name.",
    ),
]
Wait = Annotated[float, typer.Option("--wait", min=0, help="Seconds to wait at most.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(_app)


@_app.command("temporal-setup", help=_SETUP)
def temporal_setup(
    retention_days: Annotated[
        int | None,
        typer.Option(
            "--retention-days",
            min=1,
            help="How long closed workflows are kept. Default: unchanged; 3 for a new namespace.",
        ),
    ] = None,
    wait: Wait = 120.0,
) -> None:
    """Set up the Temporal namespace."""
    from datetime import timedelta

    from intent.rollout import connect_patiently, prepare_namespace
    from intent.settings.config import load_settings

    settings = load_settings()
    retention = None if retention_days is None else timedelta(days=retention_days)

    async def work() -> Sequence[str]:
        client = await connect_patiently(settings, wait, _print_progress)
        return await prepare_namespace(client, retention=retention, wait=wait, report=_print_progress)

    done = _run(work())
    echo("\n".join(done) or f"the namespace {settings.temporal_namespace} has everything it needs")


@_app.command("promote", help=_PROMOTE)
def promote(
    context: Context,
    build_id: Annotated[
        str, typer.Option("--build-id", envvar="TEMPORAL_WORKER_BUILD_ID", help="The version.")
    ] = "",
    ramp: Annotated[
        float | None,
        typer.Option("--ramp", min=0, max=100, help="Percentage of the new workflows; 0 ends the ramp."),
    ] = None,
    processes: Annotated[
        int, typer.Option("--processes", min=1, help="Processes of the version that must run.")
    ] = 1,
    allow_missing_queues: Annotated[
        bool,
        typer.Option(
            "--allow-missing-queues", help="Promote even if the version serves fewer queues than the last."
        ),
    ] = False,
    deployment: Deployment = "",
    reason: Reason = "",
    wait: Wait = 300.0,
) -> None:
    """Make a version the current one."""
    settings = _settings(context, deployment, build_id)
    build = settings.build_id
    if not build:
        raise UsageError("which version? give --build-id, or set TEMPORAL_WORKER_BUILD_ID")

    async def work(versions: WorkerDeployment) -> bool:
        if ramp != 0:
            await versions.await_workers(build, processes, missing_queues=allow_missing_queues)
        await _record(settings, "promote", reason, build=build, ramp=ramp)
        if ramp is None:
            return await versions.make_current(build, missing_queues=allow_missing_queues)
        return await versions.ramp(build, ramp, missing_queues=allow_missing_queues)

    changed = _with_deployment(settings, wait, work)
    state = "is the current version" if ramp is None else f"gets {ramp:g} % of the new workflows"
    echo(f"{build} {state} of {settings.deployment}{'' if changed else ' already'}")


@_app.command("status", help=_STATUS)
def status(context: Context, deployment: Deployment = "", as_json: AsJson = False, wait: Wait = 10.0) -> None:
    """Show the versions of a context."""
    from dataclasses import asdict

    settings = _settings(context, deployment, "")
    versions = _with_deployment(settings, wait, lambda worker_deployment: worker_deployment.versions())
    if as_json:
        values = [{**asdict(version), "since": version.since.isoformat()} for version in versions]
        echo_json({"deployment": settings.deployment, "versions": values})
    elif versions:
        _print(settings.deployment, versions)
    else:
        echo(f"Temporal knows no worker deployment {settings.deployment}: its workers are unversioned")


@_app.command("drained", help=_DRAINED)
def drained(
    context: Context,
    build_id: Annotated[str, typer.Option("--build-id", help="The version. Default: every old one.")] = "",
    deployment: Deployment = "",
    wait: Wait = 0.0,
) -> None:
    """Say whether versions can be removed."""
    from intent.rollout.waiting import until

    async def work(versions: WorkerDeployment) -> Sequence[Version]:
        busy: Sequence[Version] = ()

        async def problem() -> str:
            nonlocal busy
            checked = [await versions.version(build_id)] if build_id else await versions.versions()
            busy = [v for v in checked if v.in_use and (build_id or v.status == "draining")]
            return ", ".join(f"{version.build} is {version.status}" for version in busy)

        await until(problem, wait, _print_progress)
        return busy

    settings = _settings(context, deployment, "")
    busy = _with_deployment(settings, max(wait, 10.0), work)
    for version in busy:
        echo(f"{version.build} is {version.status} since {_when(version.since)}: it must stay")
    if busy:
        raise typer.Exit(Exit.REFUSED)
    echo(f"{build_id or 'every old version'} of {settings.deployment} is drained")


@_app.command("retire", help=_RETIRE)
def retire(
    context: Context,
    namespace: Annotated[
        str, typer.Option("--namespace", "-n", help="The namespace in Kubernetes. Default: the current one.")
    ] = "",
    delete: Annotated[bool, typer.Option("--delete", help="Delete them instead of scaling to zero.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be done.")] = False,
    deployment: Deployment = "",
    reason: Reason = "",
    wait: Wait = 10.0,
) -> None:
    """Retire the Deployments of drained versions."""
    import asyncio

    from intent.rollout import KeptDeployments

    settings = _settings(context, deployment, "")
    kept = KeptDeployments(context, settings.deployment, namespace)
    deployments = kept.found()
    versions = _with_deployment(settings, wait, lambda known: known.versions())
    states = {version.build: version.status for version in versions}
    remaining = set()
    for each in deployments:
        state = states.get(each.build, "not known to Temporal")
        retires = state == "drained" and (delete or each.replicas > 0)
        if retires and not dry_run:
            asyncio.run(_record(settings, "retire", reason, name=each.name, build=each.build, delete=delete))
            kept.end(each.name, delete=delete)
        action = ("deleted" if delete else "scaled to zero") if retires else "stays as it is"
        would_be = "would be " if retires and dry_run else ""
        echo(f"{each.name} (version {each.build}, {state}): {would_be}{action}")
        if not (retires and delete):
            remaining.add(each.build)
    if not deployments:
        echo(f"no Deployment of a single version of {context} is in the namespace {kept.namespace}")
    unused = [v.build for v in versions if v.status == "drained" and v.build not in remaining]
    if unused and not dry_run:
        asyncio.run(_record(settings, "retire", reason, records=unused))
    _forget(settings, unused, wait, dry_run)


async def _record(settings: Settings, command: str, reason: str, **target: object) -> None:
    """Record an action in the context's audit, if the settings say where that is."""
    from intent.process.local_actions import local_action, record_as_service

    if settings.database_url:
        entry = local_action(f"intent deploy {command}", reason, **target)
        await record_as_service(settings, settings.context, entry)


def _forget(settings: Settings, builds: Sequence[str], wait: float, dry_run: bool) -> None:
    """Delete the records of versions in Temporal, and say which ones it keeps."""

    async def work(known: WorkerDeployment) -> None:
        for build in builds:
            reason = "" if dry_run else await known.forget(build)
            done = f"stays: {reason}" if reason else "would be deleted" if dry_run else "deleted"
            echo(f"the record of version {build} (drained) in Temporal: {done}")

    if builds:
        _with_deployment(settings, wait, work)


def _settings(context: str, deployment: str, build: str) -> Settings:
    from intent.settings.config import load_settings

    return load_settings(context=context, deployment_name=deployment, build_id=build)


def _with_deployment(settings: Settings, wait: float, work: Callable[[WorkerDeployment], Awaitable[T]]) -> T:
    from intent.model import load_context
    from intent.rollout import WorkerDeployment, connect_patiently
    from intent.temporal.names import command_queue, saga_queue

    queues = [command_queue(settings.context)]
    if load_context(settings.context).sagas:
        queues.append(saga_queue(settings.context))

    async def run() -> T:
        client = await connect_patiently(settings, wait, _print_progress)
        return await work(WorkerDeployment(client, settings.deployment, queues, wait, _print_progress))

    return _run(run())


def _run(work: Awaitable[T]) -> T:
    """Run work with Temporal and turn an error of Temporal into one that says so."""
    import asyncio

    from temporalio.service import RPCError

    from intent.errors import Unavailable

    async def run() -> T:
        return await work

    try:
        return asyncio.run(run())
    except RPCError as error:
        raise Unavailable("TEMPORAL_UNAVAILABLE", f"Temporal refused: {error.message}") from error


def _print_progress(sentence: str) -> None:
    echo(sentence, err=True)


def _when(since: datetime) -> str:
    return since.strftime("%Y-%m-%d %H:%M:%S UTC")


def _print(deployment: str, versions: Sequence[Version]) -> None:
    from intent.cli.tables import print_table

    def row(version: Version) -> Sequence[str]:
        share = f" ({version.percentage:g} %)" if version.status == "ramping" else ""
        may_go = "no" if version.in_use else "yes"
        return version.build, version.status + share, _when(version.since), may_go

    title = f"Versions of {deployment}, the newest first"
    print_table(("Build id", "Status", "Since", "May go"), map(row, versions), title=title)
    if not any(version.status == "current" for version in versions):
        echo("No version is current: workflows that no process starts for itself wait for `promote`.")
