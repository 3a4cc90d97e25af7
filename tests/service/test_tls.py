"""The server with TLS: who may connect, and certificates that are replaced while calls are made."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from intent.client import IntentClient, RetryPolicy, Tls
from intent.errors import CommandError, ConfigurationError
from intent.service import ServiceSettings
from intent.tls import ServerTls, TlsFiles

from ..cli.running import ORDER, Done, intent
from ..support.authority import Authority
from ..support.command_path import eventually
from .support import Served, place

OURS, THEIRS = Authority("ours"), Authority("theirs")


class Files:
    """The certificates of a test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ca = OURS.write(folder / "ca.pem")
        self.server = OURS.issue(folder, "server")

    def tls(self, clients: Any = "off") -> ServerTls:
        return ServerTls(TlsFiles(*self.server, None if clients == "off" else self.ca), clients)

    def client(self, name: str = "", *, authority: Authority = OURS) -> Tls:
        own = authority.issue(self.folder, name, f"spiffe://test/{name}") if name else ()
        return Tls(self.ca, *own)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


@asynccontextmanager
async def served(tls: ServerTls | None, **ages: float) -> AsyncIterator[Served]:
    server = Served(settings=ServiceSettings(tls=tls, listeners=2, shutdown_grace=5.0, **ages))  # type: ignore[arg-type]
    await server.start()
    try:
        yield server
    finally:
        await server.close()


async def placed(client: IntentClient, order: str = "o-1") -> int:
    return (await client.execute(place(order), timeout=30)).version


async def refused(client: IntentClient) -> str:
    """Return why a client has no connection."""
    with pytest.raises(CommandError) as raised:
        await client.execute(place("o-1"), timeout=0.5)
    return str(raised.value)


async def test_a_client_trusts_the_authority_it_is_given(files: Files, tmp_path: Path) -> None:
    async with served(files.tls()) as server:
        assert await placed(server.client(credentials=files.client())) == 1
        await refused(server.client(credentials=Tls(THEIRS.write(tmp_path / "theirs.pem"))))
        await refused(server.client())


async def test_a_certificate_is_for_a_name(files: Files) -> None:
    files.server = OURS.issue(files.folder, "server", "orders.example.com")
    async with served(files.tls()) as server:
        await refused(server.client(credentials=files.client()))
        named = Tls(files.ca, server_name="orders.example.com")
        assert await placed(server.client(credentials=named)) == 1


async def test_clients_must_show_a_certificate_of_the_authority(files: Files) -> None:
    async with served(files.tls("required")) as server:
        assert await placed(server.client(credentials=files.client("shipping"))) == 1
        await refused(server.client(credentials=files.client()))
        await refused(server.client(credentials=files.client("stranger", authority=THEIRS)))


async def test_those_who_have_a_certificate_may_have_a_port_of_their_own(files: Files) -> None:
    async with served(files.tls("optional")) as server:
        assert await placed(server.client(credentials=files.client())) == 1
        target = f"127.0.0.1:{server.server.certificate_port}"
        for name, works in (("shipping", True), ("", False)):
            async with IntentClient.connect(target, tenant="acme", credentials=files.client(name)) as client:
                if works:
                    assert await placed(client, "o-2") == 1
                else:
                    await refused(client)


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
@pytest.mark.parametrize(
    ("version", "spoken"), [(ssl.TLSVersion.TLSv1_1, False), (ssl.TLSVersion.TLSv1_2, True)]
)
async def test_old_versions_of_tls_are_refused(files: Files, version: ssl.TLSVersion, spoken: bool) -> None:
    context = ssl.create_default_context(cafile=str(files.ca))
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.maximum_version = version
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.set_alpn_protocols(["h2"])
    async with served(files.tls()) as server:
        connecting = asyncio.open_connection("127.0.0.1", server.server.port, ssl=context)
        if not spoken:
            with pytest.raises((ssl.SSLError, ConnectionError)) as raised:
                await connecting
            assert "NO_PROTOCOLS_AVAILABLE" not in str(raised.value), "the client refused itself"
            return
        _, writer = await connecting
        assert writer.get_extra_info("ssl_object").version() == "TLSv1.2"
        writer.close()


async def test_the_commands_speak_tls(files: Files) -> None:
    certificate, key = map(str, OURS.issue(files.folder, "ann", "spiffe://test/ann"))
    async with served(files.tls("required")) as server:
        target = ("--target", server.server.target, "--tenant", "acme", "--timeout", "5")
        sent = ("send", "PlaceOrder", json.dumps(ORDER), *target)
        ca = ("--tls-ca", str(files.ca))
        known = await _intent(*sent, *ca, "--tls-cert", certificate, "--tls-key", key)
        assert known.code == 0, known.err
        assert (await _intent(*sent, *ca)).code
        half = await _intent(*sent, *ca, "--tls-cert", certificate)
        assert "and no key; give both" in half.err


async def test_certificates_are_replaced_under_load_and_no_call_fails(files: Files) -> None:
    """Both ends get new certificates while calls are made, each of which has one attempt."""
    async with served(files.tls("required")) as server:
        shipping = files.client("shipping")
        async with _calls(server.client(credentials=shipping, policy=_NoRetry()), 40):
            for number in range(3):
                OURS.issue(files.folder, "server")
                await _replaced(files, shipping)
                new = Tls(files.ca, files.folder / "shipping.pem", files.folder / "shipping.key")
                assert await placed(server.client(credentials=new, policy=_NoRetry()), f"new-{number}") == 1


async def test_what_is_invalid_is_not_taken(files: Files, caplog: pytest.LogCaptureFixture) -> None:
    tls = files.tls()
    async with served(tls) as server:
        before = tls.files.current
        files.server[0].write_bytes(b"-----BEGIN CERTIFICATE-----\nhalf of one")
        assert await placed(server.client(credentials=files.client())) == 1
        assert tls.files.current is before
        assert "the certificates of before stay in use" in caplog.text
        OURS.issue(files.folder, "server")
        assert await placed(server.client(credentials=files.client()), "o-2") == 1
        assert tls.files.current is not before


async def test_a_subscription_goes_on_when_the_clients_certificate_is_replaced(files: Files) -> None:
    async with served(files.tls("required")) as server:
        shipping = files.client("shipping")
        client = server.client(credentials=shipping)
        events = client.events()
        await placed(client)
        assert (await anext(events)).position == 1
        await _replaced(files, shipping)
        await placed(client, "o-2")
        assert (await anext(events)).position == 2
        await events.aclose()  # type: ignore[attr-defined]


async def test_a_subscription_changes_to_the_new_certificate_when_its_connection_ends(files: Files) -> None:
    ages = {"max_connection_age": 4.0, "max_connection_age_grace": 0.2}
    async with served(files.tls("required"), **ages) as server:
        shipping = files.client("shipping")
        client = server.client(credentials=shipping)
        events = client.events()
        await placed(client)
        assert (await anext(events)).position == 1
        await _replaced(files, shipping)
        await placed(client, "o-2")
        assert (await anext(events)).position == 2
        await eventually(_no_connection_leaves)
        await placed(client, "o-3")
        assert (await anext(events)).position == 3
        await events.aclose()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        ("missing", "cannot be read: No such file"),
        ("empty", "is empty; it must hold PEM"),
        ("text", "does not hold certificates as PEM"),
        ("other key", "does not belong to the first certificate"),
        ("no key", "and no key; give both"),
        ("key", "does not hold an unencrypted private key"),
    ],
)
def test_files_that_cannot_be_used_are_named(files: Files, broken: str, words: str) -> None:
    certificate, key = files.server
    match broken:
        case "missing":
            certificate.unlink()
        case "empty":
            certificate.write_text("\n")
        case "text":
            certificate.write_text("certificate")
        case "key":
            key.write_text("key")
        case "other key":
            key = OURS.issue(files.folder, "other")[1]
    with pytest.raises(ConfigurationError, match=words):
        TlsFiles(certificate, None if broken == "no key" else key)


class _NoRetry(RetryPolicy):
    """Fails a test at the first failure."""

    def wait(self, failures: int, error: CommandError) -> float:
        raise AssertionError(f"a call failed: {error}")


async def _intent(*arguments: str) -> Done:
    return await asyncio.to_thread(intent, *arguments)


async def _no_connection_leaves() -> bool:
    return all(task.get_name() != "connection-leaving" for task in asyncio.all_tasks())


async def _replaced(files: Files, shipping: Tls) -> None:
    """Replace a client's certificate, and wait until it has noticed."""
    shown = shipping.current()
    OURS.issue(files.folder, "shipping", "spiffe://test/shipping")

    async def noticed() -> bool:
        return shipping.current() is not shown

    await eventually(noticed)


@asynccontextmanager
async def _calls(client: IntentClient, callers: int) -> AsyncIterator[None]:
    """Let callers place orders for the duration of the context; the first call that fails ends it."""

    async def caller(name: int) -> None:
        number = 0
        while not done:
            number += 1
            await placed(client, f"o-{name}-{number}")

    done = False
    async with asyncio.TaskGroup() as group:
        for name in range(callers):
            group.create_task(caller(name))
        try:
            yield
        finally:
            done = True
