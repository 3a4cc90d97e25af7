"""What a process takes from its callers: metadata, tokens, and messages."""

from __future__ import annotations

import re
from collections.abc import Sequence
from random import Random
from typing import Any, Final

from google.protobuf.descriptor import MethodDescriptor
from intent.contracts import Registry

from ..inputs import Input, edited, edits, text
from ..messages import Draft, good
from ..target import Call, Target, good_caller, methods
from ..tokens import alter, genuine, token
from .surface import Makes, Sends, Surface

__all__ = ["BODIES", "METADATA", "TOKENS"]

_REFUSALS: Final = {"UNAUTHENTICATED", "INVALID_ARGUMENT", "RESOURCE_EXHAUSTED", "UNSENT"}
_KEYS: Final = (
    *("x-tenant-id", "x-command-id", "x-correlation-id", "x-causation-id", "x-expected-version"),
    *("x-min-position", "x-epoch", "x-consistency", "x-actor", "x-roles", "authorization"),
    *("traceparent", "tracestate", "user-agent", "grpc-timeout", "grpc-encoding", "x-other"),
)
_VALUES: Final = (
    *("acme", "globex", "applied", "projected", "operator", "user:eve", "service:shipping"),
    "00-" + "a" * 32 + "-" + "1" * 16 + "-01",
    "cc-" + "a" * 32 + "-" + "1" * 16 + "-ff-later",
    "a=b,c@d=e",
    "a=b," * 33,
    "x" * 4_000,
    "1S",
    "gzip",
)


_UNSENT: Final = re.compile(r"[^a-z0-9_.-]|-bin$")


def _named(method: MethodDescriptor) -> str:
    return f"/{method.containing_service.full_name}/{method.name}"


def _typed(context: str) -> list[MethodDescriptor]:
    own = f"{context}.v1.{context.title()}"
    return [method for method in methods(context) if method.containing_service.full_name == own]


def _metadata(context: str) -> Makes:
    named = [_named(method) for method in _typed(context)]

    def make(dice: Sequence[Random]) -> Input:
        first, *others = dice
        pairs = [_pair(each) for each in others]
        return {"method": first.choice(named), "pairs": pairs, "good": first.random() < 0.8}

    return make


def _pair(dice: Random) -> tuple[str, str | bytes]:
    if dice.random() < 0.1:
        return dice.choice(("x-trace-bin", "grpc-status-details-bin")), dice.randbytes(dice.randrange(40))
    key = dice.choice(_KEYS) if dice.random() < 0.9 else _UNSENT.sub("", text(dice).lower()) or "x"
    known = dice.choice(_VALUES) if dice.random() < 0.5 else text(dice)
    return key, _sendable(edited(known.encode(), edits(dice)))


def _sendable(data: bytes) -> str:
    """Return bytes as characters that gRPC's client sends; it refuses others."""
    return bytes(byte if 32 <= byte < 127 else 32 + byte % 95 for byte in data).decode()


def _with_metadata(target: Target) -> Sends:
    by_name = {_named(method): good(method.input_type)[0] for method in _typed(target.context)}

    def send(inputs: Sequence[Input]) -> None:
        target.ask([_call_of(each, by_name) for each in inputs])

    return send


def _call_of(given: Input, messages: dict[str, bytes]) -> Call:
    pairs: list[Any] = [tuple(pair) for pair in given["pairs"]]
    return given["method"], [messages[given["method"]]], [*(good_caller() if given["good"] else ()), *pairs]


def _tokens(context: str) -> Makes:
    def make(dice: Sequence[Random]) -> Input:
        recipe: Input = {}
        for each in dice[1:]:
            alter(recipe, each)
        return recipe

    return make


def _with_tokens(target: Target) -> Sends:
    query = next(m for m in _typed(target.context) if m.name.startswith("Get"))

    def send(inputs: Sequence[Input]) -> None:
        calls: list[Call] = []
        for each in inputs:
            tenant = _sendable(each.get("tenant", "acme").encode())
            pairs = [("authorization", _sendable(token(each).encode())), ("x-tenant-id", tenant)]
            calls.append((_named(query), [good(query.input_type)[0]], pairs))
        for each, code in zip(inputs, target.ask(calls), strict=True):
            assert genuine(each) or code in _REFUSALS, f"a token that nobody issued was let in: {code}"

    return send


def _bodies(context: str) -> Makes:
    commands = tuple(each.message.DESCRIPTOR for each in Registry.load().commands.values())
    own = tuple(each for each in commands if each.full_name.startswith(f"{context}."))
    called = methods(context)

    def make(dice: Sequence[Random]) -> Input:
        first, *others = dice
        method = first.choice(called)
        kind = method.input_type
        count = first.randrange(1, 5) if method.client_streaming else 1
        drafts = [Draft(kind, first.choice(good(kind, own))) for _ in range(count)]
        for each in others:
            each.choice(drafts).alter(each)
        return {"method": _named(method), "messages": [draft.encoded() for draft in drafts]}

    return make


def _with_bodies(target: Target) -> Sends:
    def send(inputs: Sequence[Input]) -> None:
        target.ask([(each["method"], each["messages"], good_caller()) for each in inputs])

    return send


METADATA = Surface(
    "metadata",
    "Metadata of calls: every key that has a meaning and others, malformed, twice, too long, binary.",
    _metadata,
    calls=_with_metadata,
)
TOKENS = Surface(
    "tokens",
    "Access tokens of a trusted issuer and of strangers, with header and claims changed before they are "
    "signed and bytes changed after; none that the issuer has not signed is let in.",
    _tokens,
    calls=_with_tokens,
)
BODIES = Surface(
    "bodies",
    "Messages to every method of the context and the platform, streams included: examples of the contract "
    "with fields and bytes changed.",
    _bodies,
    calls=_with_bodies,
)
