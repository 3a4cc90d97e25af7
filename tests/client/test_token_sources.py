"""Where a client's tokens come from, and when they are fetched."""

from __future__ import annotations

import asyncio
import base64
import json
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from intent.addresses import is_local
from intent.client import ClientCredentials, IntentClient, TokenCommand, TokenFile, TokenSource
from intent.client.tokens import FetchedToken, FixedToken, TokenFunction
from intent.errors import ConfigurationError, Unauthenticated, Unavailable

from ..secrets.clumsy_issuer import clumsy_issuer
from ..service.test_expiry import Clock
from ..support.issuer import Issuer, running_issuer


@pytest_asyncio.fixture
async def issuer() -> AsyncIterator[Issuer]:
    async with running_issuer() as running:
        running.clients["check out"] = "s:cr&t"
        yield running


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    file = tmp_path / "secret"
    file.write_text("s:cr&t\n")
    return file


class Counted(TokenSource):
    """Gives one token after the other, each for an hour."""

    def __init__(self, clock: Clock) -> None:
        super().__init__("a test", clock=clock)
        self.fetches = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.problem: Exception | None = None

    async def fetch(self) -> FetchedToken:
        self.fetches += 1
        number = self.fetches
        await self.gate.wait()
        if self.problem is not None:
            raise self.problem
        return FetchedToken(f"token-{number}", 3600.0)


async def settled(source: TokenSource) -> None:
    """Wait for a fetch in the background."""
    assert source._fetching is not None
    await asyncio.wait([source._fetching])


async def test_a_token_is_fetched_once_for_many_calls() -> None:
    source = Counted(Clock())
    values = await asyncio.gather(*(source.authorization() for _ in range(50)))
    assert set(values) == {"Bearer token-1"}
    assert source.fetches == 1


async def test_a_token_is_renewed_in_the_background_before_it_expires() -> None:
    clock = Clock()
    source = Counted(clock)
    await source.authorization()
    clock.ahead = 3530
    assert await source.authorization() == "Bearer token-1"
    assert source.fetches == 1
    clock.ahead = 3545
    source.gate.clear()
    values = [await source.authorization() for _ in range(20)]
    assert set(values) == {"Bearer token-1"}
    source.gate.set()
    await settled(source)
    assert await source.authorization() == "Bearer token-2"
    assert source.fetches == 2


async def test_a_renewal_that_fails_costs_nothing_while_the_token_counts() -> None:
    clock = Clock()
    source = Counted(clock)
    await source.authorization()
    clock.ahead, source.problem = 3545, Unavailable("TOKEN_UNAVAILABLE", "no answer")
    assert await source.authorization() == "Bearer token-1"
    await settled(source)
    assert await source.authorization() == "Bearer token-1"
    assert source.fetches == 2
    clock.ahead = 3601
    with pytest.raises(Unavailable):
        await source.authorization()
    source.problem = None
    assert await source.authorization() == "Bearer token-4"


async def test_one_refused_token_is_replaced_once_for_all_calls() -> None:
    source = Counted(Clock())
    first = await source.authorization()
    assert set(await asyncio.gather(*(source.after(first) for _ in range(20)))) == {"Bearer token-2"}
    assert await source.after(first) == "Bearer token-2"
    assert source.fetches == 2


async def test_a_call_that_is_given_up_leaves_the_fetch_to_the_others() -> None:
    source = Counted(Clock())
    source.gate.clear()
    calls = [asyncio.create_task(source.authorization()) for _ in range(2)]
    await asyncio.sleep(0)
    calls[0].cancel()
    source.gate.set()
    assert await calls[1] == "Bearer token-1"
    assert source.fetches == 1


async def test_a_token_whose_end_has_passed_by_this_clock_is_used() -> None:
    """Whether it counts is the context's to say: this clock may be wrong."""
    clock, calls = Clock(), 0
    clock.ahead = 10_000

    class Stale(Counted):
        async def fetch(self) -> FetchedToken:
            nonlocal calls
            calls += 1
            return FetchedToken(jwt(exp=time.time()))

    source = Stale(clock)
    assert await source.authorization() == await source.authorization()
    assert calls == 1


def jwt(**claims: Any) -> str:
    import base64

    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"e30.{body}.c2ln"


async def test_a_file_is_read_again_when_it_changes(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("one\n")
    source = TokenFile(file)
    assert await source.authorization() == "Bearer one"
    replacement = tmp_path / "new"
    replacement.write_text("two")
    replacement.replace(file)
    assert await source.authorization() == "Bearer two"
    file.write_text("")
    assert await source.authorization() == "Bearer two"
    file.unlink()
    assert await source.authorization() == "Bearer two"
    file.write_text("three")
    assert await source.authorization() == "Bearer three"


async def test_a_file_that_links_to_another_folder_is_followed(tmp_path: Path) -> None:
    """So the kubelet replaces what it projects."""
    for name in ("first", "later"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "token").write_text(name)
    (tmp_path / "data").symlink_to("first")
    (tmp_path / "token").symlink_to("data/token")
    source = TokenFile(tmp_path / "token")
    assert await source.authorization() == "Bearer first"
    (tmp_path / "next").symlink_to("later")
    (tmp_path / "next").replace(tmp_path / "data")
    assert await source.authorization() == "Bearer later"


async def test_a_file_is_read_again_when_its_token_has_expired(tmp_path: Path) -> None:
    clock = Clock()
    file = tmp_path / "token"
    file.write_text(jwt(exp=time.time() + 3600))
    source = TokenFile(file, clock=clock)
    first = await source.authorization()
    clock.ahead = 3700
    file.unlink()
    with pytest.raises(Unavailable, match="No such file"):
        await source.authorization()
    file.write_text(jwt(exp=time.time() + 7200))
    assert await source.authorization() != first


@pytest.mark.parametrize(
    "content", [b"", b"  \n", b"two\nlines", b"a b c", b"\xff\xfe", "schlüssel".encode()]
)
async def test_a_file_without_a_token_is_named_and_not_shown(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "token"
    file.write_bytes(content)
    with pytest.raises(Unavailable) as caught:
        await TokenFile(file).authorization()
    assert str(file) in caught.value.message
    assert "lines" not in caught.value.message.replace("line breaks", "")
    assert "schl" not in caught.value.message


async def test_a_command_prints_a_token() -> None:
    source = TokenCommand([sys.executable, "-c", "import sys; print('abc'); sys.stderr.write('hello')"])
    assert await source.authorization() == "Bearer abc"


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import sys; print('s3cret'); sys.exit('log in first')", "log in first"),
        ("pass", "is empty"),
        ("import time; time.sleep(60)", "took longer than 0.3 s"),
    ],
)
async def test_a_command_that_fails_says_why_without_what_it_printed(code: str, said: str) -> None:
    with pytest.raises(Unavailable, match=said) as caught:
        await TokenCommand(
            [sys.executable, "-c", code], seconds=0.3 if "sleep" in code else 30
        ).authorization()
    assert "s3cret" not in caught.value.message


async def test_a_command_that_cannot_be_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="no-such-program"):
        await TokenCommand(f"{tmp_path}/no-such-program --now").authorization()
    for command in ("", "'open"):
        with pytest.raises(ConfigurationError):
            TokenCommand(command)


async def test_a_function_may_be_of_any_kind() -> None:
    async def later() -> str:
        return "abc"

    for function in (lambda: "abc", later, lambda: later()):
        assert await TokenFunction(function).authorization() == "Bearer abc"


async def test_a_function_that_fails_is_reported() -> None:
    def broken() -> str:
        raise KeyError("vault")

    for function in (broken, lambda: 7):
        with pytest.raises(Unavailable, match="the function for tokens"):
            await TokenFunction(function).authorization()  # type: ignore[arg-type]


async def test_client_credentials_get_a_token_from_the_issuer(issuer: Issuer, secret: Path) -> None:
    for where in ({"issuer": issuer.url}, {"token_url": f"{issuer.url}/token"}):
        source = ClientCredentials("check out", secret, **where)
        value = await source.authorization()
        assert value.startswith("Bearer ey")
        assert await source.authorization() == value
    assert issuer.granted == 2


async def test_wrong_credentials_are_refused_for_good(issuer: Issuer, secret: Path) -> None:
    issuer.clients["check out"] = "changed"
    with pytest.raises(Unauthenticated, match="invalid_client") as caught:
        await ClientCredentials("check out", secret, issuer=issuer.url).authorization()
    assert caught.value.reason == "TOKEN_REFUSED"
    assert "s:cr&t" not in caught.value.message


async def test_what_an_issuer_repeats_of_a_secret_is_not_said_on(secret: Path) -> None:
    with clumsy_issuer() as clumsy:
        source = ClientCredentials("check out", secret, token_url=f"{clumsy.url}/token")
        with pytest.raises(Unauthenticated, match="invalid_client") as caught:
            await source.authorization()
    sent = clumsy.received.split()[1]
    assert base64.b64decode(sent) == b"check+out:s%3Acr%26t"
    for shown in (sent, "s%3Acr%26t", "s:cr&t"):
        assert shown not in caught.value.message


async def test_an_issuer_that_is_unavailable_is_waited_for(issuer: Issuer, secret: Path) -> None:
    source = ClientCredentials("check out", secret, token_url=f"{issuer.url}/token")
    issuer.broken = True
    with pytest.raises(Unavailable, match="status 503"):
        await source.authorization()
    issuer.broken = False
    await issuer.stop()
    with pytest.raises(Unavailable, match="cannot be fetched"):
        await source.authorization()
    await issuer.start()
    assert await source.authorization()


def test_a_secret_is_not_sent_in_plain_text(secret: Path) -> None:
    with pytest.raises(ConfigurationError, match="https://"):
        ClientCredentials("checkout", secret, token_url="http://id.example.com/token")
    for both in ({}, {"issuer": "https://a.example", "token_url": "https://b.example"}):
        with pytest.raises(ConfigurationError, match="either"):
            ClientCredentials("checkout", secret, **both)


@pytest.mark.parametrize(
    ("target", "local"),
    [
        ("127.0.0.1:7400", True),
        ("localhost:7400", True),
        ("localhost", True),
        ("[::1]:7400", True),
        ("dns:///localhost:7400", True),
        ("dns:localhost:7400", True),
        ("ipv4:127.0.0.1:7401,127.0.0.9:7434", True),
        ("ipv6:[::1]:7401", True),
        ("unix:/run/orders", True),
        ("orders:7400", False),
        ("10.0.0.1:7400", False),
        ("dns:///orders-headless:7400", False),
        ("dns://10.0.0.1/localhost:7400", False),
        ("ipv4:127.0.0.1:7401,10.0.0.1:7400", False),
        ("localhost.example.com:7400", False),
        ("127.0.0.1.example.com:7400", False),
        ("localhost@evil.example:7400", False),
        ("xds:///localhost", False),
        ("", False),
    ],
)
def test_what_is_on_this_machine(target: str, local: bool) -> None:
    assert is_local(target) == local


def test_a_token_in_plain_text_to_another_machine_is_refused_unless_told(tmp_path: Path) -> None:
    for token in ("abc", TokenFile(tmp_path / "token"), lambda: "abc"):
        with pytest.raises(ConfigurationError, match="plain text"):
            IntentClient.connect("orders:7400", token=token)
        IntentClient.connect("orders:7400", token=token, token_in_plain_text=True)
        IntentClient.connect("127.0.0.1:7400", token=token)
    IntentClient.connect("orders:7400")


def test_a_text_that_is_no_token_is_refused() -> None:
    for text in ("", "  ", "a\nb", "tökén", "a b c"):
        with pytest.raises(ConfigurationError):
            FixedToken(text)
