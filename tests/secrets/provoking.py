"""Everything that makes a process, a client or the command line speak of a secret it was given."""

from __future__ import annotations

import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from intent.client import ClientCredentials, IntentClient, Tls
from intent.contracts import Registry
from intent.errors import CommandError, ConfigurationError
from intent.process.sockets import free_port
from intent_contracts.orders.v1 import GetOrder, OrderView
from joserfc import jwt

from ..service.support import place
from ..support.issuer import AUDIENCE, new_key
from .installation import ISSUER, Installation

__all__ = ["ORDER", "call_wrongly", "fail_to_start", "place_an_order", "run_the_command_line", "token"]

ORDER = "o-planted"
_AT_ONCE = 3
_GET = "/orders.v1.Orders/GetOrder"


def token(made: Installation, what: str, **claims: Any) -> str:
    """Return a signed token, whose signature is a canary from now on."""
    own = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": what.replace(" ", "-"),
        "exp": int(time.time()) + 3600,
        "tenants": ["acme"],
    }
    header = {"alg": "ES256", "kid": "es"}
    text: str = jwt.encode(header, {**own, "roles": ["customer"], **claims}, new_key("ES256", "es"))
    made.canaries.plant(f"token {what}", text.rpartition(".")[2])
    return text


async def place_an_order(made: Installation, order: str) -> None:
    """Do what must succeed: a command, and a query of what it made."""
    ca = made.secrets / "ca.pem"
    good = token(made, f"good for {order}", sub="ann")
    client = IntentClient.connect(
        made.target, token=f"Bearer {good}", credentials=Tls(ca=ca), registry=Registry.load(), timeout=120
    )
    async with client:
        result = await client.execute(place(order))
        await client.query(GetOrder(order_id=order), OrderView, min_position=result.position)


async def call_wrongly(made: Installation) -> bytes:
    """Call with every kind of bad secret, and return all that was answered."""
    new = made.canaries.new
    expired = token(made, "expired", exp=int(time.time()) - 3600)
    stranger = token(made, "of a stranger", iss="https://elsewhere.test")
    wrong = [
        f"Bearer {expired}",
        f"Bearer {stranger}",
        f"Bearer {stranger[:-6]}AAAAAA",
        f"Bearer {new('no token at all')}",
        f"Basic {new('password of a caller')}",
        new("token without a scheme"),
    ]
    answers = []
    async with grpc.aio.secure_channel(made.target, made.credentials) as channel:
        answers += [await _answer(channel, [("authorization", sent)]) for sent in wrong]
        for key in ("x-actor", "x-roles", "x-api-key"):
            pairs = [("authorization", f"Bearer {expired}"), (key, new(f"secret as {key}"))]
            answers.append(await _answer(channel, pairs))
        twice = [("authorization", f"Bearer {new(f'token {n} of two')}") for n in (1, 2)]
        answers.append(await _answer(channel, twice))
    async with grpc.aio.insecure_channel(made.target) as plain:
        answers.append(await _answer(plain, [("authorization", f"Bearer {new('token in plain text')}")]))
    return b"\n".join([*answers, await _client_credentials(made)])


async def _answer(channel: grpc.aio.Channel, metadata: list[tuple[str, str]]) -> bytes:
    body = GetOrder(order_id=ORDER).SerializeToString()
    try:
        await channel.unary_unary(_GET)(body, metadata=metadata, timeout=60)
    except grpc.aio.AioRpcError as error:
        trailers = [f"{key}: {value!r}" for key, value in error.trailing_metadata() or ()]
        parts = (error.code().name, error.details() or "", error.debug_error_string(), *trailers)
        return "\n".join(parts).encode()
    raise AssertionError("a wrong token was let in")


async def _client_credentials(made: Installation) -> bytes:
    """Ask an issuer for a token that gives none, and return the error as a program would log it."""
    file = made.canaries.file(made.secrets / "client-secret", "secret of a client")
    source = ClientCredentials("check-out", file, token_url=f"{made.issuer.url}/token")
    try:
        await source.authorization()
    except (CommandError, ConfigurationError) as error:
        return "".join(traceback.format_exception(error)).encode()
    raise AssertionError("the issuer gave a token")


def fail_to_start(made: Installation) -> None:
    """Run what must refuse to start, each with a secret that is wrong or cannot be used."""
    new = made.canaries.new
    server = f"127.0.0.1:{free_port()}"
    gone = f"postgresql://orders_owner:{new('password for a server that is gone')}@{server}/intent"
    slash = f"postgresql://orders_owner:{new('password with a slash')}/x@127.0.0.1/intent"
    file = made.secrets / "broken-url"
    file.write_text(f"postgres//{new('password of a broken URL')}@127.0.0.1")
    broken = made.secrets / "broken.key"
    line = new("broken private key")
    broken.write_text(f"-----BEGIN PRIVATE KEY-----\n{line}\n-----END PRIVATE KEY-----\n")
    refused: list[tuple[tuple[str, ...], dict[str, str]]] = [
        (("migrate", "orders"), {"INTENT_OWNER_DATABASE_URL": gone}),
        (("migrate", "orders"), {"INTENT_OWNER_DATABASE_URL": made.url("owner", new("wrong password"))}),
        (("migrate", "orders"), {"INTENT_OWNER_DATABASE_URL": slash}),
        (
            ("migrate", "orders", "--provision"),
            {"INTENT_ADMIN_DATABASE_URL": made.url("postgres", new("wrong password of the administrator"))},
        ),
        (("serve", "orders"), {"INTENT_DATABASE_URL": made.url("service", new("wrong password to serve"))}),
        (("serve", "orders"), {"INTENT_DATABASE_URL": "", "INTENT_DATABASE_URL_FILE": str(file)}),
        (("serve", "orders"), {"INTENT_DATABASE_URL_FILE": str(file)}),
        (("serve", "orders"), {"INTENT_TLS_KEY_PATH": str(broken)}),
        (("serve", "orders"), {"TEMPORAL_ADDRESS": "temporal.test:7233"}),
        (
            ("migrate", "orders"),
            {"INTENT_OWNR_DATABASE_URL": slash, "INTENT_OWNER_DATABASE_URL": slash.replace("/x", "?x")},
        ),
    ]
    with ThreadPoolExecutor(_AT_ONCE) as programs:
        codes = programs.map(lambda run: made.intent(*run[0], **run[1]), refused)
        for (arguments, changes), code in zip(refused, codes, strict=True):
            assert code, (arguments, sorted(changes))


def run_the_command_line(made: Installation) -> None:
    """Run the command line with tokens from every place, which are refused."""
    file = made.secrets / "cli-token"
    file.write_text(token(made, "in a file", exp=1))
    cat = f"cat {made.canaries.file(made.secrets / 'printed-token', 'token of a command')}"
    query = ("query", "orders.v1.GetOrder", f'{{"order_id": "{ORDER}"}}', "--target", made.target)
    called = (*query, "--tenant", "acme", "--timeout", "20")
    ca = str(made.secrets / "ca.pem")
    assert made.intent(*called, "--tls-ca", ca, "--token-file", str(file)) != 0
    assert made.intent(*called, "--tls-ca", ca, INTENT_TOKEN=token(made, "in a variable", exp=1)) != 0
    assert made.intent(*called, "--tls-ca", ca, "--token-command", cat) != 0
    # Whom the client does not believe, and who does not speak TLS.
    assert made.intent(*called, "--tls", INTENT_TOKEN=token(made, "for nobody")) != 0
    assert made.intent(*called, INTENT_TOKEN=token(made, "without TLS")) != 0
