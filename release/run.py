"""Runs a release, step by step."""

from __future__ import annotations

import json
import shlex
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from release.commands import Command, Commands
from release.options import ROOT, Release
from release.provenance import Source, digest_of, predicate, statement, without_login

__all__ = ["Stopped", "make", "run"]

_BILLS: Final = ROOT / "build" / "sbom"
_UNKNOWN: Final = "<digest>"


class Stopped(Exception):
    """What ended a release before it was made."""


@dataclass
class _Run:
    """A release that is being made.

    Attributes:
        release: The release.
        say: Writes a line.
        subjects: The digests of what was made, by name.
    """

    release: Release
    say: Callable[[str], None]
    subjects: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.commands = Commands(self.release)
        self.began = datetime.now(UTC)
        self.source = _source()

    def make(self) -> None:
        """Make the release."""
        if not self.release.dry_run:
            self.release.folder.mkdir(parents=True, exist_ok=True)
        for command in self.commands.before():
            self._do(command)
        if self.release.registry:
            for context in self.release.contexts:
                self._image(context)
        for name in (*self.release.contexts, "workspace"):
            self._file(_BILLS / f"{name}.cdx.json")
        whole = self._written(
            "provenance.intoto.json", statement(self.subjects, self._about(*self.release.contexts))
        )
        for command in self.commands.sign_file(whole):
            self._do(command)

    def _image(self, context: str) -> None:
        """Build, push, sign and verify an image."""
        for command in self.commands.image(context):
            self._do(command)
        name = self.commands.pushed(context)
        digest = self._digest(context, name)
        self.subjects[name] = digest
        about = self._written(f"{context}.provenance.json", self._about(context))
        bill = _BILLS / f"{context}.cdx.json"
        for command in self.commands.sign_image(f"{name}@sha256:{digest}", bill, about):
            self._do(command)

    def _file(self, path: Path) -> None:
        """Sign a file, and verify that."""
        self.subjects[path.name] = _UNKNOWN if self.release.dry_run else digest_of(path)
        for command in self.commands.sign_file(path):
            self._do(command)

    def _digest(self, context: str, name: str) -> str:
        """Return the digest that the registry has given an image."""
        printed = self._do(self.commands.digests(context))
        if self.release.dry_run:
            return _UNKNOWN
        for line in printed.split():
            if line.startswith(f"{name}@sha256:"):
                return line.rpartition(":")[2]
        raise Stopped(
            f"{name} has no digest after it was pushed; what is known: {printed.strip() or 'nothing'}"
        )

    def _about(self, *contexts: str) -> dict[str, Any]:
        return predicate(self.release, self.source, contexts, self.began, datetime.now(UTC))

    def _written(self, name: str, document: dict[str, Any]) -> Path:
        path = self.release.folder / name
        if not self.release.dry_run:
            path.write_text(json.dumps(document, indent=1) + "\n")
        return path

    def _do(self, command: Command) -> str:
        """Run a command, and return what it prints; say it only, in a dry run."""
        self.say(shlex.join(command))
        if self.release.dry_run:
            return ""
        done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)  # noqa: S603
        if done.returncode:
            raise Stopped(
                f"{shlex.join(command)} failed with {done.returncode}: {done.stdout[-2_000:].strip()}"
            )
        return done.stdout


def run(release: Release, say: Callable[[str], None]) -> None:
    """Make a release.

    Raises:
        Stopped: Something is in the way, or a command failed; says what.
    """
    problems = release.problems()
    if not release.dry_run and (changed := _git("status", "--porcelain")):
        problems.append(f"commit or remove what is not committed: {' '.join(changed.split()[1::2][:5])}")
    if problems:
        raise Stopped("\n".join(problems))
    make(release, say)


def make(release: Release, say: Callable[[str], None]) -> None:
    """Make a release from whatever is checked out.

    Raises:
        Stopped: A command failed; says which.
    """
    _Run(release, say).make()


def _source() -> Source:
    remote = _git("config", "--default", "", "--get", "remote.origin.url")
    return Source(without_login(remote), _git("rev-parse", "HEAD"))


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603, S607
    if done.returncode:
        raise Stopped(f"git {arguments[0]} failed: {done.stderr.strip()}")
    return done.stdout.strip()
