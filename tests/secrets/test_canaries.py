"""Secrets are planted wherever one can be given, what can fail fails, and they are looked for everywhere."""

from __future__ import annotations

import asyncio
import base64
import shutil
import tempfile
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path

import asyncpg
import pytest
from temporalio.client import Client

from .canaries import Canaries
from .installation import Installation, installed
from .process_list import watched
from .provoking import ORDER, call_wrongly, fail_to_start, place_an_order, run_the_command_line

PLACES = {
    "logs at level debug": b"INTENT_OWNER_DATABASE_URL",
    "answers": b"TOKEN_EXPIRED",
    "spans": b"orders.v1.Orders/PlaceOrder",
    "metrics and probes": b"intent_",
    "histories and lists of Temporal": ORDER.encode(),
    "Temporal's files": ORDER.encode(),
    "PostgreSQL's log": b"alter role orders_service",
    "PostgreSQL's files": b"SCRAM-SHA-256$",
    "sessions of PostgreSQL": b"intent",
    "process lists": b"intent.cli",
    "journal of crashes": b"",
}
"""Where secrets are looked for, and what must be found there, so that it is known to have been looked at."""


class Looked:
    """An installation that everything was done to, and what it has left everywhere."""

    def __init__(self, canaries: Canaries, places: Mapping[str, bytes]) -> None:
        self.canaries = canaries
        self.places = places


@pytest.fixture(scope="module")
def looked() -> Iterator[Looked]:
    folder = Path(tempfile.mkdtemp(prefix="intent-tests-"))
    try:
        with watched() as command_lines, installed(folder) as made:
            places = _provoked(made)
            made.postgres.stop()
            made.temporal.stop()
            places["PostgreSQL's log"] = made.postgres.log.read_bytes()
            places["PostgreSQL's files"] = _files(folder / "postgres")
            places["Temporal's files"] = b"".join(path.read_bytes() for path in folder.glob("temporal.db*"))
            places["logs at level debug"] = made.outputs
            places["journal of crashes"] = _files(folder / "crashes")
            # Both got their secret, so that it could have shown it.
            headers = "".join(made.collector.headers)
            assert made.canaries.planted["token for the collector"] in headers
            for what in ("token for the issuer's keys", "secret of a client"):
                assert what in "".join(made.canaries.found_in(made.issuer.received.encode()))
        places["process lists"] = b"\n".join(command_lines)
        yield Looked(made.canaries, places)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _provoked(made: Installation) -> dict[str, bytes]:
    """Do everything to an installation, and return what is seen while it runs."""
    places = {}
    with made.service() as service:
        asyncio.run(place_an_order(made, ORDER))
        places["answers"] = asyncio.run(call_wrongly(made))
        run_the_command_line(made)
        places["sessions of PostgreSQL"] = asyncio.run(_sessions(made))
        places["histories and lists of Temporal"] = asyncio.run(_workflows(made))
        # A process whose connections break tells what it was doing.
        made.postgres.kill()
        made.postgres.restart()
        service.process.wait_until(service.ready, 120)
        asyncio.run(place_an_order(made, f"{ORDER}-again"))
        made.collector.wait_for(b"PlaceOrder")
        places["metrics and probes"] = b"".join(map(_page, [(made, name) for name in ("metrics", "readyz")]))
        fail_to_start(made)
    places["spans"] = b"".join(made.collector.spans)
    return places


def _page(asked: tuple[Installation, str]) -> bytes:
    made, name = asked
    with urllib.request.urlopen(f"http://127.0.0.1:{made.metrics}/{name}", timeout=60) as answer:
        page: bytes = answer.read()
    return page


def _files(folder: Path) -> bytes:
    return b"\n".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


async def _sessions(made: Installation) -> bytes:
    connection = await asyncpg.connect(made.postgres.dsn)
    try:
        rows = await connection.fetch("select * from pg_stat_activity")
    finally:
        await connection.close()
    return "\n".join(str(dict(row)) for row in rows).encode()


async def _workflows(made: Installation) -> bytes:
    """Return every history, with the memo, the search attributes and the identities of who polled."""
    client = await Client.connect(made.temporal.address)
    found = []
    async for workflow in client.list_workflows(""):
        found.append(workflow.raw_info.SerializeToString())
        handle = client.get_workflow_handle(workflow.id, run_id=workflow.run_id)
        found.append((await handle.describe()).raw_description.SerializeToString())
        history = await handle.fetch_history()
        found += [event.SerializeToString() for event in history.events]
    return b"\n".join(found)


@pytest.mark.parametrize("place", PLACES)
def test_no_secret_is_shown(place: str, looked: Looked) -> None:
    content = looked.places[place]
    assert PLACES[place] in content, f"nothing was found in {place}"
    assert len(looked.canaries.planted) > 20
    assert looked.canaries.found_in(content) == []


def test_what_is_planted_is_found_however_it_is_written() -> None:
    canaries = Canaries()
    secret = canaries.new("a password").encode()
    for before in (b"", b"a", b"ab", b"abc"):
        encoded = base64.b64encode(before + secret + b"tail")
        for text in (before + secret + b"!", encoded, secret.hex().encode()):
            assert canaries.found_in(b"... " + text + b" ..."), text
    assert canaries.found_in(b"canary") == []
