"""What of the audit is asked of the contexts' services: entries, and the ends of the chains."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeAlias

import typer

from intent.cli.calls import require_all, with_client, with_clients
from intent.cli.connection import AsJson, CallOptions, ContextName, calls_context
from intent.cli.exits import UsageError
from intent.cli.output import echo, echo_json

if TYPE_CHECKING:
    from intent_contracts.intent.v1 import AuditRecord

    from intent.client import IntentClient

__all__ = ["register"]

_LIST = """List entries of the audit, the newest last.

Of every context that runs, or of one with --context. Exit code 6 says that a context gave no answer.
Equal refusals of a few seconds are one entry, with their number. What was allowed was recorded before it was
done, and may have failed then.
"""
_EXPORT = """Print all entries, one JSON object a line, in the order in which they were recorded.
"""
_HEAD = """Print where the log and the audit end, with a digest over all that they hold, as JSON.

Keep it elsewhere: `intent audit verify --head` compares what is recorded later with it. That finds what no
look at the database alone can find: an end that was cut off, and a chain that was written anew.
"""
_AGO: Final = re.compile(r"(\d{1,6})([smhd])")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


class _Kind(StrEnum):
    """Kinds of entries."""

    ACTION = "action"
    REFUSAL = "refusal"


_Only: TypeAlias = Annotated[_Kind | None, typer.Option("--kind", help="Only of this kind.")]
_By: TypeAlias = Annotated[str, typer.Option("--by", help="Only of this actor, e.g. user:ann.")]
_Of: TypeAlias = Annotated[str, typer.Option("--of-tenant", help="Only of this tenant.")]
_Since: TypeAlias = Annotated[
    str, typer.Option("--since", help="Only from then on: 2026-11-28T10:00Z, or 30m, 2h, 7d ago.")
]
_Until: TypeAlias = Annotated[str, typer.Option("--until", help="Only before then.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("list", help=_LIST)(list_)
    app.command("export", help=_EXPORT)(export)
    app.command("head", help=_HEAD)(head)


@calls_context(needs_tenant=False, timeout=10.0, without={"tenant"})
def list_(
    caller: CallOptions,
    kind: _Only = None,
    by: _By = "",
    of_tenant: _Of = "",
    since: _Since = "",
    until: _Until = "",
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many entries, the newest.")] = 50,
    as_json: AsJson = False,
    context: ContextName = "",
) -> None:
    """List entries of the audit."""
    from intent.cli.plain import to_dict
    from intent.contracts import Registry

    wanted = _filter(kind, by, of_tenant, since, until)

    async def work(client: IntentClient) -> list[AuditRecord]:
        found = client.audit.every(**wanted, newest_first=True, limit=limit)
        return [entry async for entry in found][::-1]

    answers, missing = with_clients(caller, context, Registry.load(), work)
    if as_json:
        echo_json({name: [to_dict(entry) for entry in entries] for name, entries in answers.items()})
    else:
        for name, entries in answers.items():
            _print(name, entries)
    require_all(missing)


@calls_context(needs_tenant=False, without={"tenant"})
def export(
    caller: CallOptions,
    kind: _Only = None,
    by: _By = "",
    of_tenant: _Of = "",
    since: _Since = "",
    until: _Until = "",
    context: ContextName = "",
) -> None:
    """Print all entries."""
    from intent.cli.plain import to_dict
    from intent.contracts import Registry

    wanted = _filter(kind, by, of_tenant, since, until)

    async def work(client: IntentClient) -> None:
        async for entry in client.audit.every(**wanted):
            echo(json.dumps(to_dict(entry), ensure_ascii=False))

    with_client(caller, context, Registry.load(), work)


@calls_context(needs_tenant=False, without={"tenant"})
def head(caller: CallOptions, context: ContextName = "") -> None:
    """Print the ends of the chains."""
    from intent.auditing import ExportedHeads, Head, heads_text
    from intent.contracts import Registry

    async def work(client: IntentClient) -> str:
        answer = await client.audit.heads()
        parts = {"events": answer.events, "audit": answer.audit}
        heads = {of: Head(end.position, end.link, end.position, end.digest) for of, end in parts.items()}
        return heads_text(ExportedHeads(answer.context, datetime.now(UTC), heads))

    echo(with_client(caller, context, Registry.load(), work))


def _filter(kind: _Kind | None, by: str, tenant: str, since: str, until: str) -> dict[str, Any]:
    from intent_contracts.intent.v1 import AuditKind

    number = AuditKind.Value(f"AUDIT_KIND_{kind.name if kind else 'UNSPECIFIED'}")
    times = {"since": _time("--since", since), "until": _time("--until", until)}
    return {"kind": number, "actor": by, "tenant": tenant, **times}


def _time(option: str, text: str) -> datetime | None:
    """Return the time that an option says; None: it says none.

    Raises:
        UsageError: It is none.
    """
    if not text:
        return None
    if ago := _AGO.fullmatch(text):
        return datetime.now(UTC) - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{option} {text} is no time: write 2026-11-28T10:00Z, or 30m, 2h, 7d") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _print(context: str, entries: list[AuditRecord]) -> None:
    from intent.cli.formatting import format_time
    from intent.cli.tables import print_table

    def row(entry: AuditRecord) -> tuple[str, ...]:
        refused = f"refused {entry.times}x" if entry.times > 1 else "refused"
        return (
            str(entry.position),
            format_time(entry.recorded_at.ToDatetime()),
            refused if entry.kind == 2 else "allowed",
            entry.actor or "?",
            entry.peer,
            entry.tenant_id,
            entry.method,
            f"{entry.reason} {'' if entry.target == '{}' else entry.target}".strip(),
        )

    headings = ("#", "Recorded", "", "Who", "From", "Tenant", "What", "Why, of what")
    print_table(headings, map(row, entries), title=f"audit of {context}", numbers=("#",))
