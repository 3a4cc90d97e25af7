"""Find where the contexts are served: from an option, or from what `intent dev` runs here."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

from intent.cli.exits import UsageError

__all__ = ["address_of", "addresses", "problems_at"]

_PROBE_TIMEOUT: Final = 2.0


def addresses(target: str) -> Mapping[str, str]:
    """Return the address of each context, by its name.

    Args:
        target: ``orders=host:port,payments=host:port``; an address without a name is its own
            name. Empty: what `intent dev` runs.

    Raises:
        UsageError: The target is malformed, or nothing runs here.
    """
    if not target:
        return _running()
    named: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in target.split(","))):
        name, equals, address = part.partition("=")
        if not equals:
            name, address = part, part
        if not name.strip() or not address.strip():
            raise UsageError(f"{part!r} is no address; write it like host:port or orders=host:port")
        named[name.strip()] = address.strip()
    return named


def address_of(target: str, context: str) -> str:
    """Return the address of one context.

    Args:
        target: See `addresses`; an address without a name is that of any context.
        context: The context; empty for the only one.

    Raises:
        UsageError: The address is not known, or several contexts could be meant.
    """
    known = addresses(target)
    if len(known) == 1 and (not context or context in known or known.keys() == set(known.values())):
        return next(iter(known.values()))
    names = ", ".join(sorted(known))
    if not context:
        raise UsageError(f"which context? give --context with one of: {names}")
    if context not in known:
        where = "has no address in --target, which names" if target else "does not run here; there are"
        raise UsageError(f"the context {context} {where}: {names}")
    return known[context]


def _running() -> Mapping[str, str]:
    from intent.dev.state import DevState, dev_folder

    state = DevState.read(dev_folder())
    if state is None:
        raise UsageError("nothing runs here: start `intent dev`, or give --target host:port")
    return {name: address.target for name, address in state.contexts.items()}


def problems_at(address: str) -> str:
    """Return what a context of `intent dev` reports that it lacks; empty when that is not known.

    Args:
        address: Where it is served, ``host:port``.
    """
    import urllib.error
    import urllib.request

    from intent.dev.state import DevState, dev_folder

    state = DevState.read(dev_folder())
    contexts = state.contexts.values() if state else ()
    metrics = next((each.metrics for each in contexts if each.target == address), "")
    if not metrics.startswith("http://"):
        return ""
    url = metrics.rpartition("/")[0] + "/readyz"
    try:
        with urllib.request.urlopen(url, timeout=_PROBE_TIMEOUT) as answer:  # noqa: S310 - http, see above
            return _problems(answer.read())
    except urllib.error.HTTPError as refusal:
        with refusal:
            return _problems(refusal.read())
    except TimeoutError:
        return f"{url} does not answer either: the process hangs"
    except (OSError, ValueError):
        return ""


def _problems(body: bytes) -> str:
    """Return the problems that an answer of ``/readyz`` names, in a line; empty when there are none."""
    try:
        answer = json.loads(body)
        ready, problems = answer["ready"], answer["problems"].items()
    except (ValueError, LookupError, TypeError, AttributeError):
        return ""
    if not problems:
        return ""
    state = "it is ready, but" if ready else "it is not ready:"
    return f"{state} " + "; ".join(f"{name}: {problem}" for name, problem in problems)
