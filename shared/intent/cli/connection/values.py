"""How a profile completes what options and variables say."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from intent.cli.connection.profiles import Profile, Profiles

__all__ = ["completed"]

_TOKENS: Final = (
    *("token_file", "token_command"),
    *("issuer", "client_id", "client_secret_file", "scope", "audience"),
)
_WHOLE: Final = ("token", "token_file", "token_command")
"""Each of these is a token of its own, beside which the profile's one would be a second."""
_PATHS: Final = ("token_file", "client_secret_file")


def completed(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return options with what the profile adds to them; what is given wins.

    A profile with an address sends its token there only, and elsewhere where ``--profile`` names it.

    Args:
        given: The options by name, ``profile`` among them.

    Raises:
        UsageError: There is no such profile.
        ConfigurationError: The file of profiles cannot be used.
    """
    asked: str = given.get("profile", "")
    profile = Profiles.read().get(asked)
    trusted = bool(asked) or _goes_there(given, profile)
    added = {name: value for name, value in profile.values.items() if name in given}
    if not trusted or any(given.get(name) for name in _WHOLE):
        added = {name: value for name, value in added.items() if name not in _TOKENS}
    values = dict(given)
    for name, value in added.items():
        if values[name] in ("", None):
            values[name] = Path(str(value)) if name in _PATHS else value
    values["login"] = profile.name if trusted else ""
    return values


def _goes_there(given: Mapping[str, Any], profile: Profile) -> bool:
    target, own = given.get("target", ""), profile.values.get("target", "")
    return not target or not own or target == own
