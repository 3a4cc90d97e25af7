"""Named profiles: where to call and on whose behalf, in a file of the user that holds no secret."""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from intent.cli.exits import UsageError
from intent.cli.user_files import DEFAULT_PROFILE, user_folder
from intent.errors import ConfigurationError

__all__ = ["PROFILE_FIELDS", "Profile", "Profiles", "profile_names"]

PROFILE_FIELDS: Final = (
    *("target", "tenant", "actor", "roles"),
    *("token_file", "token_command", "issuer", "client_id", "client_secret_file", "scope", "audience"),
    *("token_in_plain_text", "tls", "tls_ca", "tls_cert", "tls_key", "tls_server_name"),
)
"""The names of the options that a profile may hold: no secret is among them."""
_SWITCHES: Final = ("tls", "token_in_plain_text")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}", re.ASCII)
_RULE: Final = "is no name for a profile: up to 63 letters, digits, '-' and '_'"
_HEAD: Final = "# Profiles of the command line of Intent, written by `intent profile`. No secrets here.\n"


@dataclass(frozen=True, slots=True)
class Profile:
    """A profile.

    Attributes:
        name: Its name.
        values: What it says, by the names of the options.
    """

    name: str
    values: Mapping[str, str | bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Profiles:
    """The profiles of the user.

    Attributes:
        path: Their file.
        current: The name of the one that is used when none is asked for.
        known: All by their names.
    """

    path: Path
    current: str = DEFAULT_PROFILE
    known: Mapping[str, Profile] = field(default_factory=dict)

    @classmethod
    def read(cls) -> Profiles:
        """Return those in the file, if there is one.

        Raises:
            ConfigurationError: It cannot be read, or another user may write it.
        """
        path = user_folder("XDG_CONFIG_HOME", ".config") / "profiles.toml"
        try:
            with path.open("rb") as file:
                _require_own(os.fstat(file.fileno()), path)
                content = tomllib.load(file)
        except FileNotFoundError:
            return cls(path)
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"{path} is no TOML: {error}") from None
        return cls(path, _text(content, "current", path) or DEFAULT_PROFILE, _profiles(content, path))

    def get(self, name: str = "") -> Profile:
        """Return a profile; without a name, the current one.

        Raises:
            UsageError: There is none of that name.
        """
        wanted = name or self.current
        if wanted in self.known:
            return self.known[wanted]
        if wanted == DEFAULT_PROFILE:
            return Profile(wanted)
        names = ", ".join(sorted({DEFAULT_PROFILE, *self.known}))
        raise UsageError(
            f"there is no profile {wanted!r}; there are: {names}. `intent profile set {wanted} --target …` "
            "makes one"
        )

    def changed(self, name: str, values: Mapping[str, str | bool]) -> Profiles:
        """Return these profiles with values of one changed; empty ones are taken out of it.

        Raises:
            UsageError: It cannot be called so.
        """
        if not _NAME.fullmatch(name):
            raise UsageError(f"{name!r} {_RULE}")
        before = self.known[name].values if name in self.known else {}
        kept = {key: value for key, value in {**before, **values}.items() if value != ""}
        return replace(self, known={**self.known, name: Profile(name, kept)})

    def without(self, name: str) -> Profiles:
        """Return these profiles without one, and with the default one in use where that was in use.

        Raises:
            UsageError: There is none of that name.
        """
        self.get(name)
        known = {key: profile for key, profile in self.known.items() if key != name}
        current = DEFAULT_PROFILE if self.current == name else self.current
        return replace(self, known=known, current=current)

    def write(self) -> None:
        """Write them to the file, in place of what was there."""
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        lines = [_HEAD, f"current = {_quoted(self.current)}\n"]
        for name, profile in sorted(self.known.items()):
            lines.append(f"\n[profiles.{name}]\n")
            lines += [f"{key} = {_quoted(value)}\n" for key, value in profile.values.items()]
        # A link to where somebody keeps their files is followed; the file itself is replaced.
        path = self.path.resolve()
        new = path.with_name(f"{path.name}.{os.getpid()}")
        with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write("".join(lines))
        new.replace(path)


def profile_names(incomplete: str) -> list[str]:
    """Return the names of profiles that begin with a text, for the completion of shells."""
    try:
        profiles = Profiles.read()
    except (ConfigurationError, OSError):
        return []
    return sorted(name for name in {DEFAULT_PROFILE, *profiles.known} if name.startswith(incomplete))


def _quoted(value: str | bool) -> str:
    """Return a value as TOML writes it; its strings are those of JSON, but for one character."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _require_own(status: os.stat_result, path: Path) -> None:
    """Require that nobody else says whom to call, and which command prints the token."""
    if status.st_uid not in (os.geteuid(), 0) or status.st_mode & 0o022:
        raise ConfigurationError(
            f"another user may write {path}, and could say which command is to print a token: chmod 600 it"
        )


def _text(content: Mapping[str, Any], key: str, path: Path) -> str:
    found = content.get(key, "")
    if not isinstance(found, str):
        raise ConfigurationError(f"{path}: {key} must be a string")
    return found


def _profiles(content: Mapping[str, Any], path: Path) -> dict[str, Profile]:
    found = content.get("profiles", {})
    if not isinstance(found, dict) or not all(isinstance(values, dict) for values in found.values()):
        raise ConfigurationError(f"{path}: write a profile like [profiles.staging]")
    for name, values in found.items():
        if not _NAME.fullmatch(name):
            raise ConfigurationError(f"{path}: {name!r} {_RULE}")
        for key, value in values.items():
            if key not in PROFILE_FIELDS:
                known = ", ".join(sorted(PROFILE_FIELDS))
                raise ConfigurationError(f"{path}: {name}.{key} is unknown; a profile may have: {known}")
            wanted = bool if key in _SWITCHES else str
            if not isinstance(value, wanted):
                kind = "true or false" if wanted is bool else "a string"
                raise ConfigurationError(f"{path}: {name}.{key} must be {kind}")
    return {name: Profile(name, values) for name, values in found.items()}
