"""The comparison of what is recorded with its chain, over a connection to the database."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from intent.cli.connection import AsJson
from intent.cli.exits import Exit, UsageError
from intent.cli.output import echo, echo_json, open_console

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from intent.auditing import ExportedHeads, Verified
    from intent.settings.config import Settings

__all__ = ["register"]

_VERIFY = """Find what was changed, removed or inserted in the log or the audit since it was recorded.

It reads both from the database (INTENT_DATABASE_URL, a standby will do) and computes their digests anew. That
takes some seconds for a hundred thousand events, and processes go on meanwhile. It names the positions that
are not as they were recorded. Exit code 5 says that something was found.

Whoever can change everything in the database can write the whole chain anew. Compare it with a head that was
exported earlier and kept elsewhere (`intent audit head`); that also tells when the end was cut off, in a
restore too.

\b
  intent audit verify orders
  intent audit verify orders --head head.json
  kubectl exec deployment/orders -- intent audit verify orders
"""
_SHOWN: Final = 100
_CONNECTIONS: Final = 2
_TIMEOUT: Final = 60.0


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("verify", help=_VERIFY)(verify)


def verify(
    context: Annotated[str, typer.Argument(metavar="CONTEXT", help="The context.", envvar="INTENT_CONTEXT")],
    head: Annotated[
        Path | None,
        typer.Option("--head", metavar="FILE", help="File with heads exported earlier."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Find what was changed."""
    import asyncio

    from rich.progress import Progress

    from intent.settings.config import load_settings

    settings = load_settings(context=context)
    if not settings.database_url:
        raise UsageError("set INTENT_DATABASE_URL to the URL of PostgreSQL for the context's service role")
    exported = _exported(head, context)
    with Progress(console=open_console(stderr=True), transient=True) as progress:
        tasks = {of: progress.add_task(f"{of} of {context}", total=None) for of in ("events", "audit")}

        def report(of: str, position: int, last: int) -> None:
            progress.update(tasks[of], completed=position, total=last)

        verified = asyncio.run(_verify(settings, context, exported, report))
    if as_json:
        echo_json({each.of: _plain(each) for each in verified})
    else:
        for each in verified:
            _print(each, exported)
    if any(each.findings for each in verified):
        raise typer.Exit(Exit.FAILED)


def _exported(file: Path | None, context: str) -> ExportedHeads | None:
    """Return the heads that a file holds; None: none is given.

    Raises:
        UsageError: It cannot be read, or holds those of another context.
        ConfigurationError: It holds none.
    """
    from intent.auditing import heads_from

    if file is None:
        return None
    try:
        exported = heads_from(file.read_text())
    except (OSError, UnicodeError) as error:
        raise UsageError(f"{file} cannot be read: {error}") from error
    if exported.context != context:
        raise UsageError(f"{file} holds the heads of {exported.context}, not of {context}")
    return exported


async def _verify(
    settings: Settings, context: str, exported: ExportedHeads | None, report: Callable[[str, int, int], None]
) -> Sequence[Verified]:
    from functools import partial

    from intent.auditing import AuditDatabase, verify
    from intent.store.postgres import open_pool

    pool = await open_pool(
        settings.database_url,
        connections=_CONNECTIONS,
        timeout=_TIMEOUT,
        direct_dsn=settings.database_direct_url,
        read_only=True,
    )
    try:
        database = AuditDatabase(pool, context)
        return [
            await verify(database, of, exported.heads[of] if exported else None, partial(report, of))
            for of in ("events", "audit")
        ]
    finally:
        pool.terminate()


def _print(verified: Verified, exported: ExportedHeads | None) -> None:
    for note in verified.notes[:_SHOWN]:
        echo(f"{verified.of}: {note}; an epoch of the log began there")
    notes = len(verified.notes) + verified.more_notes
    if notes > _SHOWN:
        echo(f"{verified.of}: and {notes - _SHOWN} more that an epoch explains")
    for finding in verified.findings[:_SHOWN]:
        echo(f"{verified.of}: {finding}")
    total = len(verified.findings) + verified.more_findings
    if total > _SHOWN:
        echo(f"{verified.of}: and {total - _SHOWN} more")
    since = f"; what was recorded up to position {verified.began_after} is older than the chain"
    against = f", as exported at {exported.at:%Y-%m-%d %H:%M} UTC" if exported else ""
    result = f"{total} finding(s)" if total else f"nothing was changed{against}"
    echo(
        f"{verified.of}: {verified.rows} rows checked up to position {verified.position}: {result}"
        f"{since if verified.began_after else ''}"
    )


def _plain(verified: Verified) -> Mapping[str, Any]:
    return {
        "began_after": verified.began_after,
        "position": verified.position,
        "rows": verified.rows,
        "digest": verified.digest.hex(),
        "findings": [finding._asdict() for finding in verified.findings],
        "notes": [note._asdict() for note in verified.notes],
        "more_findings": verified.more_findings,
        "more_notes": verified.more_notes,
    }
