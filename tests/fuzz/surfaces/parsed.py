"""What is parsed in a process: JSON, settings, tokens of pages, URLs, addresses, and key sets."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import lru_cache, partial
from random import Random
from typing import Any, Final
from unittest import mock

from intent.addresses import is_local, is_protected
from intent.cli.connection import addresses
from intent.cli.examples import example
from intent.cli.exits import UsageError
from intent.cli.messages import message_of
from intent.contracts import Registry
from intent.errors import ConfigurationError, InvalidCommand
from intent.identity.algorithms import ALGORITHMS, fits, public_key
from intent.oidc import IssuerUnavailable, json_object
from intent.read_models.paging import Cursor, parse_token
from intent.read_models.paging import token as page
from intent.read_models.shape import TableShape
from intent.service.servicers.pages import page_token, parse_page_token
from intent.settings.config import Settings, load_settings
from intent.settings.database_urls import database_url
from intent.settings.variables import variable_of
from intent.wire.metadata import trace_context

from ..inputs import Input, edit, edited, nested, text, value
from ..tokens import jwks
from .surface import Makes, Surface

__all__ = ["JSON", "KEYS", "PAGES", "SETTINGS", "URLS"]

_REGISTRY: Final = Registry.load()
_MESSAGES: Final[dict[str, Any]] = {
    name: contract.message
    for known in (_REGISTRY.commands, _REGISTRY.queries)
    for name, contract in known.items()
}
_SECRET: Final = "c4n4ry"
_DEEP: Final = (nested(99), nested(5_000), nested(20_000, '{"a":', "}"), "9" * 5_000)
_VARIABLES: Final = [variable_of(name, field) for name, field in Settings.model_fields.items()]
_SETTINGS: Final = (
    *("on", "1", "0.5", "off", "token", "dev", "a=b,c=d", "https://issuer.test", "/nowhere", "user:"),
    '[{"issuer": "https://issuer.test", "audience": ["a"], "service_accounts": {"a/b": ["r"]}}]',
    '{"spiffe://a/b": {"roles": ["r"], "tenants": ["acme"]}}',
    f"postgresql://role:{_SECRET}@db:5432/intent",
)
_TEXTS: Final = (
    f"postgresql://role:{_SECRET}@db:5432/intent?sslmode=verify-full",
    f"postgres://role:{_SECRET}%2F@[::1]:5432,two/intent",
    f"postgresql:///intent?host=/run&user=role&password={_SECRET}",
    "https://issuer.test/realms/a",
    "http://127.0.0.1:80",
    "dns:///localhost:7400",
    "ipv6:[::1]:7400",
    "orders=127.0.0.1:7401,payments=127.0.0.1:7402",
    "00-" + "a" * 32 + "-" + "1" * 16 + "-01",
)
_PAGES: Final = (page_token(["a", 7]), page_token([3]), b"[]", b"[true]", b"[1e3]")
_ROWS: Final = (page("d" * 16, Cursor(7, ("o-1",))), page("d" * 16, Cursor(0, ())))
_PARTS: Final = ("kty", "use", "alg", "kid", "n", "e", "x", "y", "crv", "d", "key_ops", "x5c")


def _text(given: str, dice: Sequence[Random]) -> str:
    """Return a text with bytes changed, of any characters."""
    data = edited(given.encode("utf-8", "surrogateescape"), [edit(each) for each in dice])
    return data.decode("utf-8", "surrogateescape")


def _document(given: Any, dice: Sequence[Random]) -> str:
    """Return JSON with values and bytes changed."""
    first, *others = dice
    if first.random() < 0.02:
        return first.choice(_DEEP)
    if isinstance(given, dict):
        given = dict(given)
        for each in others[1:]:
            given[each.choice([*given, text(each)])] = value(each)
    return _text(json.dumps(given), others[:1])


def _only(name: str, make: Callable[[Sequence[Random]], Any]) -> Callable[[str], Makes]:
    """Return what makes inputs of one value."""
    return lambda context: lambda dice: {name: make(dice)}


def _tolerated(error: type[Exception], read: Callable[[], object]) -> None:
    with suppress(error):
        read()


@lru_cache
def _example(name: str) -> dict[str, Any]:
    return example(_MESSAGES[name].DESCRIPTOR)


def _messages(context: str) -> Makes:
    def make(dice: Sequence[Random]) -> Input:
        name = dice[0].choice(sorted(_MESSAGES))
        return {"type": name, "text": _document(_example(name), dice)}

    return make


def _read_message(given: Input) -> None:
    with suppress(UsageError):
        message_of(_MESSAGES[given["type"]], given["text"]).SerializeToString()


def _variables(context: str) -> Makes:
    def make(dice: Sequence[Random]) -> Input:
        chosen = {}
        for each in dice:
            given = each.choice(_SETTINGS)
            if each.random() < 0.3:
                given = _document(value(each), [each])
            chosen[each.choice(_VARIABLES)] = _text(given, [each])
        return {"set": chosen}

    return make


def _read_settings(given: Input) -> None:
    # The environment of a process has no NUL, nor half surrogate pairs.
    settable = {name: os.fsdecode(_bytes(text).replace(b"\0", b"")) for name, text in given["set"].items()}
    with mock.patch.dict(os.environ, settable):
        said = _refusal(load_settings)
    # A password that was given as another setting is none.
    secret = all(name.endswith("DATABASE_URL") for name, text in settable.items() if _SECRET in text)
    assert not secret or _SECRET not in said, "a password is shown"


def _refusal(read: Callable[[], object]) -> str:
    """Return why something was refused; what it was read as, if it was not."""
    try:
        return str(read())
    except ConfigurationError as error:
        return str(error)


def _bytes(given: str) -> bytes:
    return given.encode("utf-8", "surrogateescape")


def _pages(context: str) -> Makes:
    def make(dice: Sequence[Random]) -> Input:
        first, *others = dice
        changes = [edit(each) for each in others]
        row = edited(first.choice(_ROWS).encode(), changes).decode("latin-1")
        return {
            "page": edited(first.choice(_PAGES), changes),
            "row": row,
            "json": _document(["d" * 16, value(first), value(first)], dice),
        }

    return make


def _read_pages(given: Input) -> None:
    shape = TableShape.of(_REGISTRY.read_models["orders.v1.OrderView"])
    document = _bytes(given["json"])
    packed = base64.urlsafe_b64encode(document).decode()
    for data in (given["page"], document):
        for kinds in ([str, int], [int]):
            _tolerated(InvalidCommand, partial(parse_page_token, data, kinds))
    for text_ in (given["row"], packed):
        _tolerated(InvalidCommand, partial(parse_token, text_, "d" * 16, shape))


def _read_url(given: Input) -> None:
    url = given["text"]
    said = _refusal(lambda: repr(database_url(url)))
    assert _SECRET not in said, "a password is shown"
    is_protected(url)
    is_local(url)
    trace_context([("traceparent", url), ("tracestate", url)])
    if url:
        _tolerated(UsageError, lambda: addresses(url))


def _key_sets(context: str) -> Makes:
    published = jwks()

    def make(dice: Sequence[Random]) -> Input:
        first, *others = dice
        key: Any = dict(first.choice(published["keys"]))
        for each in others:
            key[each.choice(_PARTS)] = value(each)
        return {"key": key if first.random() < 0.9 else value(first), "text": _document(published, dice)}

    return make


def _read_keys(given: Input) -> None:
    key = public_key(given["key"])
    if key is not None:
        hash((key.kid, key.thumbprint()))
        for algorithm in ALGORITHMS:
            fits(key, algorithm)
    _tolerated(IssuerUnavailable, lambda: json_object(_bytes(given["text"]), "the issuer"))


JSON = Surface(
    "json", "JSON of the command line, for every command and query.", _messages, reads=_read_message
)
SETTINGS = Surface(
    "settings", "Values of every setting; no password is shown.", _variables, reads=_read_settings
)
PAGES = Surface("pages", "Tokens by which lists are continued.", _pages, reads=_read_pages)
URLS = Surface(
    "urls",
    "URLs of PostgreSQL and issuers, addresses, traces; no password is shown.",
    _only("text", lambda dice: _text(dice[0].choice((*_TEXTS, text(dice[0]))), dice[1:])),
    reads=_read_url,
)
KEYS = Surface("keys", "What issuers publish: key sets and their keys.", _key_sets, reads=_read_keys)
