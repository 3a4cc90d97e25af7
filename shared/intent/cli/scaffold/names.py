"""The names in a new context, and the checks that they are free."""

from __future__ import annotations

import keyword
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Final

from intent.cli.exits import UsageError
from intent.contracts.options import snake_case

__all__ = ["ScaffoldNames"]

_CONTEXT: Final = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_LONGEST_CONTEXT: Final = 30
_AGGREGATE: Final = re.compile(r"[A-Z][A-Za-z0-9]*")
_LONGEST_AGGREGATE: Final = 65
"""Length of the name twice and once in snake case, so that no line of the scaffold is too long."""
_VERSION: Final = re.compile(r"v[0-9]+")

_PROTO_KEYWORD: Final = re.compile(
    r"bool|bytes|double|edition|enum|export|extend|extensions|s?fixed(32|64)|float|group|import|[su]?int(32|64)"
    r"|local|map|max|message|oneof|option|optional|package|public|repeated|required|reserved|returns|rpc"
    r"|service|stream|string|syntax|to|weak"
)
_SCHEMAS: Final = frozenset({"public", "information_schema"})
_PLATFORM: Final = frozenset({"buf", "google", "intent", "intent_contracts"})
_IMPORTED: Final = frozenset({"Aggregate", "Context", "Projection", "Queries", "Reason", "Registry"})
"""Classes that the scaffold's modules name beside the aggregate."""
_ENDINGS: Final = (("ies", "y"), ("sses", "ss"), ("xes", "x"), ("ches", "ch"), ("shes", "sh"))


@dataclass(frozen=True, slots=True)
class ScaffoldNames:
    """The names of a context of one aggregate.

    Attributes:
        context: The context, e.g. ``loyalty``.
        aggregate: Its aggregate, e.g. ``Account``.
    """

    context: str
    aggregate: str

    @classmethod
    def of(cls, context: str, aggregate: str = "") -> ScaffoldNames:
        """Return the names of a context, checked.

        Args:
            context: The context's name.
            aggregate: The aggregate's name; by default derived from the context's.

        Raises:
            UsageError: A name cannot be used; the message says why, and which one could.
        """
        _check_context(context)
        names = cls(context, aggregate or _pascal(_singular(context)))
        _check_aggregate(names)
        return names

    @property
    def service(self) -> str:
        """The gRPC service, e.g. ``GiftCards`` of ``gift_cards``."""
        return _pascal(self.context)

    @property
    def hyphenated(self) -> str:
        """The context where a name may have no underscore, e.g. ``gift-cards``."""
        return self.context.replace("_", "-")

    @property
    def distribution(self) -> str:
        """The distribution, e.g. ``intent-gift-cards`` of ``gift_cards``."""
        return f"intent-{self.hyphenated}"

    @property
    def thing(self) -> str:
        """The aggregate in snake case."""
        return snake_case(self.aggregate)

    @property
    def messages(self) -> Mapping[str, str]:
        """The messages of the contract, by their role."""
        return {
            "command": f"Register{self.aggregate}",
            "event": f"{self.aggregate}Registered",
            "state": f"{self.aggregate}State",
            "view": f"{self.aggregate}View",
            "query": f"Get{self.aggregate}",
        }

    def fields(self) -> dict[str, str]:
        """Return the fields of the templates."""
        words = self.thing.replace("_", " ")
        article = "an" if words[0] in "aeiou" else "a"
        return {
            **self.messages,
            "context": self.context,
            "context_words": self.context.replace("_", " "),
            "distribution": self.distribution,
            "service": self.service,
            "aggregate": self.aggregate,
            "thing": self.thing,
            "words": words,
            "a_thing": f"{article} {words}",
            "reason": f"{self.thing.upper()}_ALREADY_REGISTERED",
            "example_id": f"{words.replace(' ', '-')}-1",
        }


def _check_context(name: str) -> None:
    if not _CONTEXT.fullmatch(name):
        near = re.sub(r"[^a-z0-9]+", "_", snake_case(name).lower()).strip("_0123456789")
        hint = f"; how about {near}?" if _CONTEXT.fullmatch(near) else ""
        raise UsageError(
            f"{name!r} cannot name a context: use lower-case letters and digits, starting with a letter, "
            f"words joined by single underscores{hint}"
        )
    if len(name) > _LONGEST_CONTEXT:
        raise UsageError(
            f"{name} is too long for the name of a context: it may have {_LONGEST_CONTEXT} letters"
        )
    meaning = _meaning_of(name)
    if meaning:
        raise UsageError(f"{name} cannot name a context: it is {meaning}; choose another name")


def _meaning_of(name: str) -> str:
    """Return what a name means already; empty if it is free."""
    if keyword.iskeyword(name) or keyword.issoftkeyword(name):
        return "a keyword of Python"
    if _PROTO_KEYWORD.fullmatch(name):
        return "a keyword of the proto language"
    if _VERSION.fullmatch(name):
        return "how a version of a contract is named"
    if name in _SCHEMAS or name.startswith("pg_"):
        return "a schema of PostgreSQL"
    if name in _PLATFORM:
        return "a package of the platform"
    if name in sys.stdlib_module_names:
        return "a module of Python's library"
    return "an installed Python package" if find_spec(name) else ""


def _check_aggregate(names: ScaffoldNames) -> None:
    name = names.aggregate
    if not _AGGREGATE.fullmatch(name) or name.isupper():
        near = _pascal(snake_case(name))
        hint = f"; how about {near}?" if _AGGREGATE.fullmatch(near) and not near.isupper() else ""
        raise UsageError(f"{name!r} cannot name an aggregate: write it like Account or GiftCard{hint}")
    if 2 * len(name) + len(names.thing) > _LONGEST_AGGREGATE:
        raise UsageError(
            f"{name} is too long for an aggregate; choose a name of at most 20 letters with --aggregate"
        )
    if keyword.iskeyword(name) or name in _IMPORTED:
        raise UsageError(f"{name} cannot name an aggregate: it has a meaning already; choose another")
    taken = next((kind for kind, message in names.messages.items() if message == names.service), None)
    if taken:
        raise UsageError(
            f"the {taken} of the aggregate {name} would have the name of the service {names.service}; "
            "choose another aggregate with --aggregate"
        )


def _pascal(name: str) -> str:
    """Return a name in snake case as one in Pascal case."""
    return "".join(word[:1].upper() + word[1:] for word in name.split("_"))


def _singular(name: str) -> str:
    """Return a guess at the singular of an English name, by its ending."""
    for plural, singular in _ENDINGS:
        if name.endswith(plural) and len(name) > len(plural) + 1:
            return name.removesuffix(plural) + singular
    if name.endswith("s") and not name.endswith(("ss", "us", "is", "ics", "series")):
        return name[:-1]
    return name
