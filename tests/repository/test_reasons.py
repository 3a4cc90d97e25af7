"""The page on calling a context names every reason that the platform gives, with its status."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from typing import Final

import grpc
from intent import errors
from intent.errors import CommandError
from intent.wire.statuses import code_of

from .files import PLATFORM, ROOT

_ERRORS: Final[Mapping[str, type[CommandError]]] = {
    name: kind
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, CommandError)
}
_MAKERS: Final[Mapping[str, type[CommandError]]] = {
    "_refused": errors.Rejected,
    "too_many": errors.Overloaded,
}
"""Functions that return an error for a reason that they are given."""
_FOR_PEOPLE: Final = ("cli/", "rollout/", "dev/", "testing/")
"""Packages of the command line and for tests, which speak to people and not to callers."""
_ELSEWHERE: Final = {
    # Made of the kind of contract.
    *(("UNKNOWN_" + kind, "UNIMPLEMENTED") for kind in ("COMMAND", "CONTRACT", "EVENT", "QUERY")),
    # What gRPC itself reports of the size of an answer.
    ("ANSWER_TOO_LARGE", "FAILED_PRECONDITION"),
}
_COMPUTED: Final = {
    "contracts/registry.py",  # UNKNOWN_…
    "model/aggregate.py",  # a context's own reasons, and …_NOT_FOUND
    "model/queries.py",  # …_NOT_FOUND
    "saga_host/directory.py",  # a maker
    "service/calls.py",  # ANSWER_TOO_LARGE
    "service/open_calls.py",  # a maker
    "wire/statuses.py",  # the name of a status without details
}
"""Modules that compute a reason."""


def _reasons() -> Iterator[tuple[str, str | None, str]]:
    """Yield each reason that is given in the code with its module and its status; None: it is computed."""
    for path in sorted(PLATFORM.rglob("*.py")):
        name = path.relative_to(PLATFORM).as_posix()
        if name.startswith(_FOR_PEOPLE) or name == "errors.py":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            called = node.func if isinstance(node, ast.Call) else None
            maker = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
            kind = _ERRORS.get(maker) or _MAKERS.get(maker)
            if kind is None or not isinstance(node, ast.Call) or not node.args:
                continue
            reason = node.args[0]
            if not isinstance(reason, ast.Constant):
                yield name, None, ""
            elif re.fullmatch(r"[A-Z]+(_[A-Z]+)*", str(reason.value)):
                yield name, str(reason.value), code_of(kind("", "")).name


def _documented() -> list[tuple[str, str]]:
    page = (ROOT / "docs" / "calling-a-context.md").read_text()
    section = page.split("\n## Reasons\n")[1].split("\n## ")[0]
    return re.findall(r"^\| `([A-Z_]+)` \| `([A-Z_]+)` \|", section, re.MULTILINE)


def test_every_reason_of_the_platform_is_documented_with_its_status() -> None:
    given = {(reason, status) for _, reason, status in _reasons() if reason is not None}
    documented = _documented()
    assert set(documented) == given | _ELSEWHERE
    assert len(documented) == len(set(documented))


def test_no_module_computes_reasons_that_nobody_looked_at() -> None:
    assert {name for name, reason, _ in _reasons() if reason is None} == _COMPUTED


def test_every_status_that_a_caller_may_see_is_documented() -> None:
    page = (ROOT / "docs" / "calling-a-context.md").read_text()
    table = page.split("\n## Errors\n")[1].split("\n## ")[0]
    documented = set(re.findall(r"`([A-Z_]+)`", "\n".join(re.findall(r"^\|([^|]*)\|", table, re.MULTILINE))))
    used = {code_of(kind("", "")).name for kind in _ERRORS.values() if kind is not CommandError}
    assert documented == used | {grpc.StatusCode.CANCELLED.name}
